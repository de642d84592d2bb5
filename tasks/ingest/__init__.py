"""Ingest: a source's rows, whatever their store and format, as a content-addressed snapshot."""
