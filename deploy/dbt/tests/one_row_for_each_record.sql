-- A record has one newest version and one live version at most. Rows of this query are failures.
SELECT 'current_records' AS model, source, record_id FROM {{ ref('current_records') }}
GROUP BY source, record_id HAVING count(*) > 1
UNION ALL
SELECT 'published_records' AS model, source, record_id FROM {{ ref('published_records') }}
GROUP BY source, record_id HAVING count(*) > 1
