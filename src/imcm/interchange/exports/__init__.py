"""
What a ledger is written out as, for other tools; each form in a module of its own.

    from imcm import LedgerReader
    from imcm.interchange.exports.cdevents import write_cdevents

    with LedgerReader("ledger.db") as ledger, open("events.jsonl", "wb") as file:
        write_cdevents(ledger, file)

- `cdevents`: CDEvents 0.5, one CloudEvent a line.
- `ocel`: an object-centric event log, OCEL 2.0 in JSON.
- `tables`: facts as tables, and the log as one; `arrow` writes them as Parquet and Arrow,
  `csv_tables` as CSV for spreadsheets, and figures, too.
- `timelines`: a timeline as Markdown and as JSON.

All of them lose something; docs/export.md says what. The whole log, byte for byte, is JSONL
(`imcm.interchange.jsonl`).
"""
