-- New rows that reach for the aim's; a conflict clause comes after them. One statement a paragraph;
-- {word} stands for a value of the aim, or of the table.

INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash) VALUES ('{agent_id}',
    '{tenant_id}', 'document', 'probe', '{content_hash}')

INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash) VALUES ('own agent',
    'bolt', 'document', 'probe', '{content_hash}'), ('{agent_id}', '{tenant_id}', 'document', 'probe',
    '{content_hash}')

INSERT INTO memory_records (memory_id, agent_id, tenant_id, source_type, content_text, content_hash) VALUES
    ('{memory_id}', 'own agent', 'bolt', 'document', 'probe', 'probe')

INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash) SELECT agent_id,
    'bolt', source_type, content_text, content_hash FROM memory_records WHERE memory_id = '{memory_id}'

INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash) SELECT agent_id,
    tenant_id, source_type, content_text, 'x' || content_hash FROM memory_records WHERE tenant_id <> 'bolt'

INSERT INTO memory_records (agent_id, tenant_id, source_type, content_text, content_hash) VALUES ('own agent',
    NULL, 'document', 'probe', 'probe')

INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model) VALUES ('{memory_id}', 'probe',
    '{embedding_model}')

INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model) VALUES ('{own_2}', 'probe', 'small'),
    ('{memory_id}', 'probe', 'free')

INSERT INTO memory_embeddings (embedding_id, memory_id, vector_id, embedding_model) VALUES ('{embedding_id}',
    '{own_2}', 'probe', 'small')

INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model) SELECT '{own_2}', vector_id,
    embedding_model FROM memory_embeddings WHERE memory_id = '{memory_id}'

INSERT INTO memory_embeddings (memory_id, vector_id, embedding_model) SELECT memory_id, 'probe', 'free' FROM
    memory_records WHERE tenant_id <> 'bolt'

INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type) VALUES ('{memory_id}',
    '{other_memory_id}', 'supports')

INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type) VALUES ('{own_3}',
    '{own_4}', 'related'), ('{own_3}', '{memory_id}', 'related')

INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type) VALUES ('{memory_id}',
    '{own_3}', 'related')

INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type) VALUES ('{memory_id}',
    '{memory_id}', 'related')

INSERT INTO memory_relationships (relationship_id, source_memory_id, target_memory_id, relationship_type) VALUES
    ('{relationship_id}', '{own_3}', '{own_4}', 'related')

INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type) SELECT '{own_3}',
    memory_id, 'related' FROM memory_records WHERE tenant_id <> 'bolt'
