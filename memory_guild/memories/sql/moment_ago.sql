-- The moment that is the interval $1 ago.
SELECT statement_timestamp() - $1::interval AS moment;
