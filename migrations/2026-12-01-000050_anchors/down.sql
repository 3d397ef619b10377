DROP TABLE ledger_anchor_heads;
DROP TABLE ledger_anchor_pages;
DROP TABLE ledger_anchors;
