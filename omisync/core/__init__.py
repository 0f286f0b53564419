"""The part that decides: no I/O, no clock, no chance, no await, no logging.

``markdown`` and ``toml`` turn text into entries and changes into text (``splice`` puts
bytes in the place of others), ``due`` reads due-date tokens, ``unchanged`` skips the
lines that did not change, ``match`` says which entry is which link (on a ``board``;
``equal``, ``renumber``, ``replace``, ``detail``, ``reword`` and ``assign`` settle its hard cases),
``order`` keeps the ranks, ``adopt`` what the server has already, ``merge`` joins three
versions of one task, ``plan`` holds the decision table, ``remains`` tells removed tasks
whose words still stand in the file.
``model`` has the nouns they share.
"""
