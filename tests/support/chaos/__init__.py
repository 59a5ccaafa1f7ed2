"""Clients that retry, a killer, what they note down, and a checker that replays it.

::

    stage.py      the service and its database, and three ways to kill parts of them
    storm.py      the same behind a link (link.py) and on a disk (disk.py) that fail too
    clients.py    threads that send requests, with keys until they are answered, or without
    notebook.py   what they all note down
    driver.py     one run: clients and killer together, then the documents as they are at the end
    history.py    what was sent and answered, what was killed, what is stored: values only
    checker.py    history in, report out: lost, doubled, brought back, …; pure
    order.py      is there an order that explains a document's history? by model.py; pure
    account.py    the report by what befell the service, as a table
    writers.py    processes that change one document: the lost-update tests
"""
