-- The workers that may have tables.
SELECT
    nodename,
    nodeport,
    format('%s:%s', nodename, nodeport) AS node
FROM pg_dist_node
WHERE isactive AND shouldhaveshards AND noderole = 'primary'
ORDER BY nodeid;
