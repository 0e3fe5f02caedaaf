-- persons: the customer profile as of now.
--
-- Question    Who are our customers, stitched over devices and back to their first anonymous visit?
-- Grain       One row per (source_id, person_id).
-- Reads       persons_at
-- Definition  persons_at for all sources, as of now: SELECT * FROM persons WHERE source_id = 'shop' AND orders > 3.
-- Exact       Yes.
-- Time        event_time, UTC. idle_days, churn_risk and RFM are as of the moment of the question.
-- Cost        As persons_at. Filter on source_id, or ask persons_at for one source.
-- Test        tests/sql/test_people.py
CREATE OR REPLACE VIEW {database}.persons AS
SELECT *
FROM {database}.persons_at(source_id = '', as_of = now64(3, 'UTC'))
