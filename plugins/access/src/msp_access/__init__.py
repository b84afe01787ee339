"""Who may do what: scopes, approvals, the audit trail, the journal of changes."""
