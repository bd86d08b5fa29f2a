-- The moment that lies the interval $1 back.
SELECT statement_timestamp() - $1::interval AS moment;
