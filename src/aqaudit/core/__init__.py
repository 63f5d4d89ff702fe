"""What both halves share: records, the answers table and what lies beside it, keys, plug-ins, errors."""
