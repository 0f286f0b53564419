"""Edits as people make them, and which line a careful reader would say is which.

Each case shows a list before and after. A letter names a task; the same letter
afterwards is the same task, ``+`` is a new one, a letter that is missing is gone.
``.`` is an open box, ``x`` a ticked one, ``# `` a heading, ``!`` a line that was
absent already, a due date stands after ``@``.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from omisync.core.match import pair
from omisync.core.model import Entry, Link, Task


class Row(NamedTuple):
    """One line of a case."""

    label: str
    task: Task
    section: str
    absent: bool


def rows(text: str) -> list[Row]:
    """Read one side of a case."""
    section, found = "", []
    for line in text.strip().splitlines():
        label, _, rest = line.strip().partition(" ")
        if label == "#":
            section = rest
            continue
        mark, _, rest = rest.partition(" ")
        words, _, due = rest.partition(" @")
        task = Task(words, completed=mark == "x", due=due or None)
        found.append(Row(label.rstrip("!"), task, section, label.endswith("!")))
    return found


def links(before: list[Row]) -> list[Link]:
    """Return the rows as the store remembers them."""
    return [
        Link(
            key=row.label,
            remote_id=f"id-{row.label}",
            seen=row.task,
            section=row.section,
            rank=rank,
            absent_since=1.0 if row.absent else None,
        )
        for rank, row in enumerate(before)
    ]


CASES = {
    "nothing changed": (
        """
        a . Buy milk
        b . Call Anna
        """,
        """
        a . Buy milk
        b . Call Anna
        """,
    ),
    "dates that were not read are put right": (
        """
        a . Dentist 📅 Dec 3
        b . Gym 📅 Dec 4
        c . Mow due:soon
        d . Call Ann 🗓️ 2026-12-05
        """,
        """
        a . Dentist @2026-12-03
        b . Gym @2026-12-04
        c x Mow @2026-12-01
        d . Call Ann @2026-12-05
        """,
    ),
    "a date is mistyped": (
        """
        a . Dentist @2026-12-03
        b . Gym due:2026-13-04
        """,
        """
        a . Dentist due:2026-12-33
        b . Gym due:2026-14-04
        """,
    ),
    "dates are put right in equal lines": (
        """
        # One
        a . Mow due:soon
        b . Mow due:later
        c! . Mow due:never
        """,
        """
        # Two
        a . Mow @2026-12-03
        b . Mow @2026-12-04
        c . Mow @2026-12-05
        """,
    ),
    "of equal lines that with the same date is put right": (
        """
        # Home
        a . Call the bank 📆 2026-12-05
        s . Sweep
        # Work
        b . Call the bank 📆 2026-12-06
        """,
        """
        # Home
        s . Sweep
        # Work
        b . Call the bank @2026-12-06
        """,
    ),
    "of equal lines in one place that with the same date is put right": (
        """
        a . Standup 📆 2026-12-05
        b . Standup 📆 2026-12-06
        """,
        """
        b . Standup @2026-12-06T09:30
        a . Standup @2027-01-01
        """,
    ),
    "of equal lines one is mistyped and another put right": (
        """
        # Work
        a . Water the plants @2027-08-06
        s . Sweep
        # Garden
        b . Water the plants 📅 Dec 3
        t . Trim
        """,
        """
        # Work
        b . Water the plants due:2027-1-5
        s . Sweep
        # Garden
        a . Water the plants @2027-06-21
        t . Trim
        """,
    ),
    "a word for another one is no correction": (
        """
        # Home
        a . Fee due:landlord
        b . Read
        # Work
        c . Run
        """,
        """
        # Home
        b . Read
        # Work
        + . Fee due:plumber
        c . Run
        """,
    ),
    "a date of the text is none that is put right": (
        """
        a . Report for 2025-12-31 📆 2026-01-05
        b . Report for 2025-12-31 📆 2026-02-05
        """,
        """
        b . Report for 2025-12-31 @2026-02-05
        """,
    ),
    "of equal lines that under the same heading is put right": (
        """
        # Home
        a . Call the bank 📆 Dec 5
        # Work
        b . Call the bank 📆 Dec 6
        """,
        """
        # Home
        # Work
        b . Call the bank @2026-12-06
        """,
    ),
    "more lines than tasks are told apart by what is around them": (
        """
        a . Read
        b . Mow due:soon
        c . Call Ann
        """,
        """
        + . Mow @2026-12-04
        + . Run
        a . Read
        b . Mow @2026-12-03
        c . Call Ann
        """,
    ),
    "the next round of a chore has another date that is not read": (
        """
        a . Read
        b x Mow due:monday
        """,
        """
        # Later
        + . Mow due:tuesday
        a . Read
        """,
    ),
    "a finished line gets the date that it meant": (
        """
        a . Read
        b x Mow due:monday
        """,
        """
        # Later
        b x Mow @2026-12-01
        a . Read
        """,
    ),
    "dates alone are no text": (
        """
        a . due:monday
        b . Read
        """,
        """
        b . Read
        # Other
        + . due:2026-13-01
        """,
    ),
    "a typo is put right": (
        """
        a . Buy milk
        b . Recieve the parcel
        c . Call Anna
        """,
        """
        a . Buy milk
        b . Receive the parcel
        c . Call Anna
        """,
    ),
    "a typo in a single word is put right where it stands": (
        """
        a . Buy milk
        b . Gorceries
        c . Call Anna
        """,
        """
        a . Buy milk
        b . Groceries
        c . Call Anna
        """,
    ),
    "two letters of a short word are swapped back": (
        """
        a . Buy milk
        b . Gmy
        """,
        """
        a . Buy milk
        b . Gym
        """,
    ),
    "a detail is added at the end": (
        """
        a . Buy milk
        b . Call Anna
        """,
        """
        a . Buy milk
        b . Call Anna about the lease before she leaves on Friday
        """,
    ),
    "a detail is added in front": (
        """
        a . Water the plants
        b . Call Anna
        """,
        """
        a . Water the plants
        b . In the morning, before work: call Anna
        """,
    ),
    "details are dropped": (
        """
        a . Write the report for the board, with figures of the last three years
        b . Call Anna
        """,
        """
        a . Write the report
        b . Call Anna
        """,
    ),
    "one word is replaced": (
        """
        a . Book a table for Friday evening
        b . Call Anna
        """,
        """
        a . Book a table for Saturday evening
        b . Call Anna
        """,
    ),
    "a person is added": (
        """
        a . Invite Anna
        b . Order the cake
        """,
        """
        a . Invite Anna and Bob
        b . Order the cake
        """,
    ),
    "a person is replaced where the line stands": (
        """
        a . Order the cake
        b . Call Bob
        c . Clean the kitchen
        """,
        """
        a . Order the cake
        b . Call Tim
        c . Clean the kitchen
        """,
    ),
    "a number is changed where the line stands": (
        """
        a . Order the cake
        b . Buy 6 eggs
        c . Clean the kitchen
        """,
        """
        a . Order the cake
        b . Buy 12 eggs
        c . Clean the kitchen
        """,
    ),
    "a number is changed in the only line": (
        """
        a . Buy 6 eggs
        """,
        """
        a . Buy 12 eggs
        """,
    ),
    "the next of a series appears elsewhere": (
        """
        a . Order the cake
        b . Review PR #123
        c . Clean the kitchen
        d . Call Anna
        """,
        """
        a . Order the cake
        c . Clean the kitchen
        d . Call Anna
        + . Review PR #124
        """,
    ),
    "a finished number gives way to the next one, elsewhere": (
        """
        a x Read chapter 3
        b . Order the cake
        c . Call Anna
        """,
        """
        b . Order the cake
        c . Call Anna
        + . Read chapter 4
        """,
    ),
    "a task is split in two": (
        """
        a . Call Anna
        b . Buy milk and eggs
        c . Clean the kitchen
        """,
        """
        a . Call Anna
        b . Buy milk
        + . Buy eggs
        c . Clean the kitchen
        """,
    ),
    "two tasks are merged": (
        """
        a . Call Anna
        b . Buy milk
        c . Buy eggs
        d . Clean the kitchen
        """,
        """
        a . Call Anna
        b . Buy milk and eggs
        d . Clean the kitchen
        """,
    ),
    "a task becomes a parent with steps": (
        """
        a . Call Anna
        b . Plan the trip to Oslo
        """,
        """
        a . Call Anna
        b . Plan the trip to Oslo
        + . Book the flight
        + . Find a hotel
        """,
    ),
    "the list is sorted": (
        """
        a . Water the plants
        b . Call Anna
        c . Order the cake
        """,
        """
        b . Call Anna
        c . Order the cake
        a . Water the plants
        """,
    ),
    "the list is sorted and everything ticked": (
        """
        a . Water the plants
        b . Call Anna
        c . Order the cake
        """,
        """
        b x Call Anna
        c x Order the cake
        a x Water the plants
        """,
    ),
    "two lines change places": (
        """
        a . Water the plants
        b . Call Anna
        """,
        """
        b . Call Anna
        a . Water the plants
        """,
    ),
    "finished lines go to an archive": (
        """
        # Today
        a x Water the plants
        b . Call Anna
        c x Order the cake
        # Archive
        d x Pay the rent
        """,
        """
        # Today
        b . Call Anna
        # Archive
        d x Pay the rent
        a x Water the plants
        c x Order the cake
        """,
    ),
    "finished lines leave the file": (
        """
        a x Water the plants
        b . Call Anna
        c x Order the cake
        """,
        """
        b . Call Anna
        """,
    ),
    "a line is ticked, reworded and archived in one go": (
        """
        # Today
        a . Send the offer to Miller
        b . Call Anna
        # Done
        c x Pay the rent
        """,
        """
        # Today
        b . Call Anna
        # Done
        c x Pay the rent
        a x Sent the offer to Mr. Miller
        """,
    ),
    "a line is ticked and put in the past tense": (
        """
        a . Buy milk
        b . Call Anna
        c . Order the cake
        """,
        """
        a x Bought milk
        b . Call Anna
        c . Order the cake
        """,
    ),
    "a tick comes with the result": (
        """
        a . Ask the landlord about the heating
        b . Call Anna
        """,
        """
        a x Ask the landlord about the heating: comes on Tuesday at nine
        b . Call Anna
        """,
    ),
    "a tick is taken back and the line reworded where it stands": (
        """
        a x Ask the landlord about the heating
        b . Call Anna
        """,
        """
        a . Ask the landlord about the heating again
        b . Call Anna
        """,
    ),
    "a finished chore is gone and its next round comes elsewhere": (
        """
        # January
        a x Pay the rent for January
        b . Call Anna
        # February
        c . Order the cake
        """,
        """
        # January
        b . Call Anna
        # February
        c . Order the cake
        + . Pay the rent for February
        """,
    ),
    "yesterday stays and today gets the same chores": (
        """
        # 2026-01-05
        a x Stand-up
        b x Inbox
        """,
        """
        # 2026-01-06
        + . Stand-up
        + . Inbox
        # 2026-01-05
        a x Stand-up
        b x Inbox
        """,
    ),
    "open chores are carried over to the next day": (
        """
        # 2026-01-05
        a x Stand-up
        b . Write the minutes
        """,
        """
        # 2026-01-05
        a x Stand-up
        # 2026-01-06
        + . Stand-up
        b . Write the minutes
        """,
    ),
    "a heading is renamed": (
        """
        # Today
        a . Water the plants
        b . Call Anna
        """,
        """
        # Monday
        a . Water the plants
        b . Call Anna
        """,
    ),
    "a heading is renamed, a line reworded and a line ticked": (
        """
        # Today
        a . Water the plants in the yard
        b . Call Anna
        # Later
        c . Order the cake
        """,
        """
        # Monday
        a . Water all plants of the yard
        b x Call Anna
        # Later
        c . Order the cake
        """,
    ),
    "headings are put into a flat list": (
        """
        a . Water the plants
        b . Call Anna
        c . Order the cake
        """,
        """
        # Home
        a . Water the plants
        # Calls
        b . Call Anna
        # Party
        c . Order the cake
        """,
    ),
    "a line is moved to another section": (
        """
        # Today
        a . Water the plants
        b . Call Anna
        # Later
        c . Order the cake
        """,
        """
        # Today
        b . Call Anna
        # Later
        a . Water the plants
        c . Order the cake
        """,
    ),
    "a line is moved to another section with a slip of the keyboard": (
        """
        # Today
        a . Water the plants
        b . Call Anna
        # Later
        c . Order the cake
        """,
        """
        # Today
        b . Call Anna
        # Later
        c . Order the cake
        a . Water the plantss
        """,
    ),
    "a line is copied and pasted below": (
        """
        a . Water the plants
        b . Call Anna
        """,
        """
        a . Water the plants
        + . Water the plants
        b . Call Anna
        """,
    ),
    "a line is copied and the copy changed": (
        """
        a . Write to the bank about the loan
        b . Call Anna
        """,
        """
        a . Write to the bank about the loan
        + . Write to the tax office about the loan
        b . Call Anna
        """,
    ),
    "a ticked line is copied as an open one above it": (
        """
        a x Water the plants
        b . Call Anna
        """,
        """
        + . Water the plants
        a x Water the plants
        b . Call Anna
        """,
    ),
    "one of two equal lines goes: the one that was finished": (
        """
        a x Water the plants
        b . Call Anna
        c . Water the plants
        """,
        """
        b . Call Anna
        c . Water the plants
        """,
    ),
    "equal lines with different dates change places and one goes": (
        """
        a . Water the plants @2026-01-05
        b . Water the plants @2026-01-12
        c . Water the plants @2026-01-19
        """,
        """
        c . Water the plants @2026-01-19
        b . Water the plants @2026-01-12
        """,
    ),
    "a new date alone is no new line": (
        """
        a . Water the plants @2026-01-05
        b . Call Anna
        """,
        """
        a . Water the plants @2026-01-12
        b . Call Anna
        """,
    ),
    "a block with steps goes, another block has the same steps": (
        """
        a . Release 1.0 of the server
        b x Write the notes
        c . Tag it
        d . Release 2.0 of the client
        e . Write the notes
        f . Tag it
        """,
        """
        d . Release 2.0 of the client
        e . Write the notes
        f . Tag it
        """,
    ),
    "two blocks with the same steps change places": (
        """
        a . The server
        b x Write the notes
        c . Tag it
        d . The client app
        e . Write the notes
        f x Tag it
        """,
        """
        d . The client app
        e . Write the notes
        f x Tag it
        a . The server
        b x Write the notes
        c . Tag it
        """,
    ),
    "a line gives way to an unrelated one": (
        """
        a . Water the plants
        b . Call Anna
        c . Order the cake
        """,
        """
        a . Water the plants
        + . Fix bicycle
        c . Order the cake
        """,
    ),
    "a short chore gives way to another elsewhere": (
        """
        a . Gym
        b . Call Anna
        c . Order the cake
        """,
        """
        b . Call Anna
        c . Order the cake
        + . Gum
        """,
    ),
    "a call gives way to another call elsewhere": (
        """
        a . Call Bob
        b . Water the plants
        c . Order the cake
        """,
        """
        b . Water the plants
        c . Order the cake
        + . Call Tim
        """,
    ),
    "the line above goes and the next is reworded": (
        """
        a . Water the plants
        b . Fix bicycle
        c . Send the offer to Miller
        d . Call Anna
        """,
        """
        a . Water the plants
        c . Send an offer to Miller & Sons
        d . Call Anna
        """,
    ),
    "a new line comes above one that is reworded": (
        """
        a . Water the plants
        c . Send the offer to Miller
        d . Call Anna
        """,
        """
        a . Water the plants
        + . Fix bicycle
        c . Send an offer to Miller & Sons
        d . Call Anna
        """,
    ),
    "every line is reworded a little": (
        """
        a . Water the plants
        b . Call Anna about the lease
        c . Order the cake for Sunday
        """,
        """
        a . Water all the plants
        b . Call Anna about that lease
        c . Order a cake for Sunday
        """,
    ),
    "a file is written anew": (
        """
        a . Water the plants
        b . Call Anna
        c . Order the cake
        """,
        """
        + . Fix bicycle
        + . Learn Danish irregular verbs
        + . Pay rent
        """,
    ),
    "one of two lines of a pattern becomes a third, nobody can tell which": (
        """
        a . Water the plants
        b . Mail Bob the minutes
        c . Mail Tim the minutes
        d . Call Anna
        """,
        """
        a . Water the plants
        + . Mail Eva the minutes
        d . Call Anna
        """,
    ),
    "two lines of a pattern become others, and nothing that told them apart is left": (
        """
        a . Water the plants
        b . Mail Bob the minutes
        c . Mail Tim the minutes
        d . Call Anna
        """,
        """
        a . Water the plants
        + . Mail Eva the minutes
        + . Mail Ida the minutes
        d . Call Anna
        """,
    ),
    "two lines of a pattern change, and what told them apart is still there": (
        """
        a . Water the plants
        b . Mail Bob the minutes
        c . Mail Tim the minutes
        d . Call Anna
        """,
        """
        a . Water the plants
        b . Send Bob the minutes
        c . Send Tim the minutes
        d . Call Anna
        """,
    ),
    "a series goes on: the reviewed ones went, the next came in their place": (
        """
        a . Water the plants
        b . Review PR #123
        c . Review PR #124
        d . Call Anna
        """,
        """
        a . Water the plants
        + . Review PR #125
        + . Review PR #126
        d . Call Anna
        """,
    ),
    "one of two equal slips is put right": (
        """
        a . Water the plants
        b . Mial Bob the minutes
        c . Mial Bob the minutes
        d . Call Anna
        """,
        """
        a . Water the plants
        b . Mail Bob the minutes
        d . Call Anna
        """,
    ),
    "lines above go and a task is split in two": (
        """
        a . Water the plants
        b . Fix bicycle
        c . Call Anna
        d . Buy milk and eggs
        e . Order the cake
        """,
        """
        c . Call Anna
        d . Buy milk
        + . Buy eggs
        e . Order the cake
        """,
    ),
    "a slip is put right in a line that moves, another line of the pattern was cut before": (
        """
        a . Water the plants
        b! . Mail Bob the minutes
        c . Mail Bob the minutse
        d . Call Anna
        e . Order the cake
        """,
        """
        a . Water the plants
        b . Mail Bob the minutes
        d . Call Anna
        e . Order the cake
        """,
    ),
    "each line of a pattern is reworded where it stands": (
        """
        a . Water the plants
        b . Mail Bob the minutes
        c . Call Anna
        d . Mail Tim the minutes
        e . Order the cake
        """,
        """
        a . Water the plants
        b . Mail Bobby the minutes
        c . Call Anna
        d . Mail Timmy the minutes
        e . Order the cake
        """,
    ),
    "a line that was cut comes back elsewhere": (
        """
        a! . Water the plants
        b . Call Anna
        c . Order the cake
        """,
        """
        b . Call Anna
        c . Order the cake
        a . Water the plants
        """,
    ),
    "a line that was cut comes back reworded": (
        """
        a! . Water the plants on the balcony
        b . Call Anna
        c . Order the cake
        """,
        """
        b . Call Anna
        c . Order the cake
        a . Water the plants on the roof
        """,
    ),
    "of two equal lines the one that was cut comes second": (
        """
        a! . Water the plants
        b . Call Anna
        c x Water the plants
        """,
        """
        b . Call Anna
        c . Water the plants
        """,
    ),
    "a slip is put right in the line that was there, not in the twin that was cut before": (
        """
        a . Water the plants
        b . Mail Bob teh minutes
        c . Call Anna
        d . Order the cake
        e! . Mail Bob teh minutes
        f . Fix bicycle
        """,
        """
        c . Call Anna
        b . Mail Bob the minutes
        a . Water the plants
        d . Order the cake
        f . Fix bicycle
        """,
    ),
    "many details are added, and the next line happens to start alike": (
        """
        a . Water the plants
        b . Buy milk
        c . Call Anna
        """,
        """
        a . Water the plants
        + . Buy mats
        b . Buy milk, eggs, bread and two bottles of the red wine that Bob likes
        c . Call Anna
        """,
    ),
    "spaces, composed letters and emoji style are no change": (
        """
        a . Café with  Zoë ❤️
        b . Call Anna
        """,
        """
        b . Call Anna
        a x Cafe\u0301 with\u00a0Zoe\u0308 ❤
        """,
    ),
    "a sentence without spaces gets a detail": (
        """
        a . 打电话给妈妈
        b . 买牛奶
        """,
        """
        a . 打电话给妈妈
        b . 买牛奶和鸡蛋
        """,
    ),
    "a sentence without spaces gets a detail and moves": (
        """
        a . 买牛奶
        b . 打电话给妈妈
        c . 洗衣服
        """,
        """
        b . 打电话给妈妈
        c . 洗衣服
        a . 买牛奶和鸡蛋还有面包和水果
        """,
    ),
    "a link is put around the words": (
        """
        a . Read the paper on clocks
        b . Call Anna
        """,
        """
        a . Read [the paper on clocks](https://example.org/lamport/time-clocks.pdf)
        b . Call Anna
        """,
    ),
    "emphasis and case are changed": (
        """
        a . call the bank
        b . Call Anna
        """,
        """
        b . Call Anna
        a . **Call the bank!**
        """,
    ),
    "a question becomes a task": (
        """
        a . Flight to Oslo?
        b . Call Anna
        """,
        """
        a . Book the flight to Oslo
        b . Call Anna
        """,
    ),
    "a word is replaced in two of twelve lines of a pattern": (
        """
        a . Read chapter 1 of the book
        b . Read chapter 2 of the book
        c . Read chapter 3 of the book
        d . Read chapter 4 of the book
        e . Read chapter 5 of the book
        f . Read chapter 6 of the book
        g . Read chapter 7 of the book
        h . Read chapter 8 of the book
        i . Read chapter 9 of the book
        j . Read chapter 10 of the book
        k . Read chapter 11 of the book
        l . Read chapter 12 of the book
        """,
        """
        a . Read chapter 1 of the book
        b . Read chapter 2 of the book
        c . Read chapter 3 of the book
        d . Read chapter 4 of the book
        e . Study chapter 5 of the book
        f . Study chapter 6 of the book
        g . Read chapter 7 of the book
        h . Read chapter 8 of the book
        i . Read chapter 9 of the book
        j . Read chapter 10 of the book
        k . Read chapter 11 of the book
        l . Read chapter 12 of the book
        """,
    ),
    "a word is replaced in all lines of a pattern": (
        """
        a . Read chapter 1 of the book
        b . Read chapter 2 of the book
        c . Read chapter 3 of the book
        """,
        """
        a . Study chapter 1 of the book
        b . Study chapter 2 of the book
        c . Study chapter 3 of the book
        """,
    ),
    "the last word is replaced in all lines": (
        """
        a . Invoice 1 to client
        b . Invoice 2 to client
        c . Invoice 3 to client
        d . Invoice 4 to client
        e . Invoice 5 to client
        f . Invoice 6 to client
        g . Invoice 7 to client
        h . Invoice 8 to client
        i . Invoice 9 to client
        j . Invoice 10 to client
        k . Invoice 11 to client
        l . Invoice 12 to client
        """,
        """
        a . Invoice 1 to customer
        b . Invoice 2 to customer
        c . Invoice 3 to customer
        d . Invoice 4 to customer
        e . Invoice 5 to customer
        f . Invoice 6 to customer
        g . Invoice 7 to customer
        h . Invoice 8 to customer
        i . Invoice 9 to customer
        j . Invoice 10 to customer
        k . Invoice 11 to customer
        l . Invoice 12 to customer
        """,
    ),
    "two words take the place of one in all lines": (
        """
        a . Clean kitchen
        b . Clean bathroom
        c . Clean bedroom
        """,
        """
        a . Tidy up kitchen
        b . Tidy up bathroom
        c . Tidy up bedroom
        """,
    ),
    "the first of two words is replaced in all lines": (
        """
        a . Buy milk
        b . Buy bread
        c . Buy figs
        """,
        """
        a . Get milk
        b . Get bread
        c . Get figs
        """,
    ),
    "all words but the name are replaced in all lines": (
        """
        a . Review PR 12
        b . Review PR 13
        c . Review PR 14
        """,
        """
        a . Look at PR 12
        b . Look at PR 13
        c . Look at PR 14
        """,
    ),
    "a word is replaced by its opposite": (
        """
        a . Buy milk
        b . Buy bread
        """,
        """
        a . Sell milk
        b . Sell bread
        """,
    ),
    "a mail to each becomes a call to each": (
        """
        a . Mail Bob
        b . Mail Tim
        """,
        """
        a . Call Bob
        b . Call Tim
        """,
    ),
    "a mail to each becomes a mail to others": (
        """
        a . Mail Bob
        b . Mail Tim
        """,
        """
        + . Mail Eva
        + . Mail Ida
        """,
    ),
    "a mail and a call to each become a mail and a call to others": (
        """
        a . Mail Bob
        b . Mail Tim
        c . Call Bob
        d . Call Tim
        """,
        """
        + . Mail Eva
        + . Mail Ida
        + . Call Eva
        + . Call Ida
        """,
    ),
    "the week is over and the next one has the same lines": (
        """
        a . Week 1: sweep the stairs
        b . Week 1: mail Anna
        """,
        """
        + . Week 2: sweep the stairs
        + . Week 2: mail Anna
        """,
    ),
    "the week is over, and its lines are so short that all are alike": (
        """
        a . Week 1: sweep
        b . Week 1: dust
        c . Week 1: mop
        """,
        """
        + . Week 2: sweep
        + . Week 2: dust
        + . Week 2: mop
        """,
    ),
    "finished lines go, and what comes has the same objects": (
        """
        a x Read chapter 1
        b x Read chapter 2
        """,
        """
        + . Study chapter 1
        + . Study chapter 2
        """,
    ),
    "a word is replaced in finished lines": (
        """
        a x Read chapter 1
        b x Read chapter 2
        """,
        """
        a x Study chapter 1
        b x Study chapter 2
        """,
    ),
    "lines go, and what follows from them comes under another heading": (
        """
        # Shop
        a . Call Anna
        b . Order lamp
        c . Order desk
        d . Fix bicycle
        # Home
        e . Water the plants
        f . Sweep
        """,
        """
        # Shop
        a . Call Anna
        d . Fix bicycle
        # Home
        e . Water the plants
        + . Assemble lamp
        + . Assemble desk
        f . Sweep
        """,
    ),
    "lines were cut, and others with the same objects come": (
        """
        a! . Order lamp
        b! . Order desk
        c . Call Anna
        """,
        """
        c . Call Anna
        + . Assemble lamp
        + . Assemble desk
        """,
    ),
    "lines are ticked, put in the past tense and archived": (
        """
        # Today
        a . Buy milk
        b . Call Anna
        c . Buy bread
        # Done
        d x Fix bicycle
        """,
        """
        # Today
        b . Call Anna
        # Done
        d x Fix bicycle
        a x Bought milk
        c x Bought bread
        """,
    ),
    "a word is replaced in all lines, and a line of the pattern is added": (
        """
        a . Read chapter 1 of the book
        b . Read chapter 2 of the book
        c . Read chapter 3 of the book
        """,
        """
        a . Study chapter 1 of the book
        b . Study chapter 2 of the book
        + . Skim chapter 2 of the book
        c . Study chapter 3 of the book
        """,
    ),
    "a word is replaced in the headings too": (
        """
        # Clean at home
        a . Clean kitchen
        b . Clean bath
        # Clean at work
        c . Clean desk
        """,
        """
        # Scrub at home
        a . Scrub kitchen
        b . Scrub bath
        # Scrub at work
        c . Scrub desk
        """,
    ),
    "a word is replaced in all lines, a line goes and another comes": (
        """
        a . Order lamp
        b . Order desk
        c . Feed cat
        d . Order sofa
        """,
        """
        + . Fix bicycle
        a . Collect lamp
        b . Collect desk
        d . Collect sofa
        """,
    ),
    "one word is ticked, struck out and moved away": (
        """
        a . Bread
        b . Eggs
        # Done
        c x Salt
        """,
        """
        b . Eggs
        # Done
        a x ~~Bread~~
        c x Salt
        """,
    ),
    "each word of a list gets an amount": (
        """
        # Shop
        a . Milk
        b . Bread
        c . Eggs
        """,
        """
        # Shop
        a . Milk, 2 l
        b x Bread (rye)
        c . 10 Eggs
        + . Tea
        """,
    ),
    "an emoji is a word, and so is what tells C from C++": (
        """
        a . Water the plants
        b . 🍎 2
        c . 📞 Bo
        # Work
        d . Mail the report to Ann
        e . C
        """,
        """
        a . Water the plants
        # Work
        d . Mail the report to Ann
        + . 🖨 2
        + . 🎁 Bo
        # Later
        + . C++
        """,
    ),
    "the signs of vowels and tones are letters": (
        """
        # A
        a . तेल
        b . ข้าว
        # B
        c . चावल
        """,
        """
        # A
        # B
        c . चावल
        + . तिल
        + . ข่าว
        """,
    ),
    "a formatter writes emphasis in another way": (
        """
        a . *Milk*
        b . *Bread*
        c . __Eggs__
        """,
        """
        a . _Milk_
        b . _Bread_
        c . Eggs
        """,
    ),
    "short lines went, and others came elsewhere with a word of theirs": (
        """
        a . Groceries
        b . Pay rent for June
        c . Fix the bike
        d . Laundry
        e . Water the roses
        """,
        """
        b . Pay rent for June
        c . Fix the bike
        e . Water the roses
        + . Groceries for the party on Friday
        + . Bring laundry bag to Mum
        """,
    ),
    "a list gets amounts and is moved as a block": (
        """
        a . Call Bob
        b . Milk
        c . Bread
        d . Eggs
        e . Pay rent
        """,
        """
        a . Call Bob
        e . Pay rent
        b . Milk 2 l
        c . Bread 1
        d . Eggs 3
        """,
    ),
    "two lines are other ones, or longer, and one stands where it did": (
        """
        a . Milk
        b . Call Bob
        c . Tea
        """,
        """
        b . Call Bob
        + . Milk the cow
        c . Tea with Ann
        """,
    ),
    "blanks are put around a sign": (
        """
        a . A+B
        c . C++17
        b . dust the shelves
        """,
        """
        b . dust the shelves
        a . A + B
        c . C++ 17
        """,
    ),
    "a list of words gives way to one of other words": (
        """
        # Shop
        a . Milk
        b . Bread
        c . Eggs
        """,
        """
        # Shop
        + . Salt, 1 kg
        + . Milk jug
        + . Rice (brown)
        """,
    ),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES.keys())
def test_a_careful_reader_agrees(before: str, after: str) -> None:
    """Which line is which after the edit is what a person who looks at both would say."""
    olds, news = rows(before), rows(after)
    entries = [Entry(row.task, line, row.section) for line, row in enumerate(news, 1)]

    found = pair(entries, links(olds))

    names = dict.fromkeys(range(len(news)), "+")
    names |= {new: olds[old].label for new, old in found.pairs}
    assert [names[at] for at in range(len(news))] == [row.label for row in news]
    gone = {row.label for row in olds} - {row.label for row in news}
    assert {olds[at].label for at in found.absent} == gone
