"""The five tables, exactly as the specification says, and Aerich's own table beside them, in a schema of a Citus cluster.

All tables of the schema, and so all of a group's tenants, are on one worker: each table is one shard, whose name ends with
a number.
"""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
-- For this transaction only.
SET LOCAL citus.enable_schema_based_sharding = on;
SET LOCAL citus.multi_shard_modify_mode = 'sequential';

-- The schema is the first of the connection's search_path; where it is missing, it is created, and with it its place.
DO $migration$
BEGIN
    IF current_schema() IS NULL THEN
        EXECUTE format('CREATE SCHEMA %I', (parse_ident(current_setting('search_path'), false))[1]);
    END IF;
END $migration$;

-- Memory records: Core memory storage
CREATE TABLE memory_records (
    memory_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    agent_id VARCHAR(255) NOT NULL,
    tenant_id VARCHAR(255) NOT NULL,
    source_type VARCHAR(50) NOT NULL CHECK (source_type IN ('conversation', 'tool_output', 'document', 'observation', 'external')),
    content_text TEXT NOT NULL,
    content_hash VARCHAR(64) NOT NULL,  -- MD5 hash for deduplication
    metadata JSONB DEFAULT '{}',
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW(),
    is_deleted BOOLEAN DEFAULT false,
    deleted_at TIMESTAMPTZ,
    CONSTRAINT unique_content_hash UNIQUE(agent_id, tenant_id, content_hash)
);

CREATE INDEX idx_memory_agent ON memory_records(agent_id);
CREATE INDEX idx_memory_tenant ON memory_records(tenant_id);
CREATE INDEX idx_memory_source ON memory_records(source_type);
CREATE INDEX idx_memory_created ON memory_records(created_at DESC);
CREATE INDEX idx_memory_hash ON memory_records(content_hash);
CREATE INDEX idx_memory_active ON memory_records(is_deleted) WHERE is_deleted = false;

-- Memory embeddings: Vector representations for semantic search
CREATE TABLE memory_embeddings (
    embedding_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    memory_id UUID NOT NULL REFERENCES memory_records(memory_id) ON DELETE CASCADE,
    vector_id VARCHAR(255) NOT NULL,  -- ID in vector database (Weaviate/Pinecone)
    embedding_model VARCHAR(100) NOT NULL,
    created_at TIMESTAMPTZ DEFAULT NOW(),
    CONSTRAINT unique_memory_embedding UNIQUE(memory_id, embedding_model)
);

CREATE INDEX idx_embeddings_memory ON memory_embeddings(memory_id);
CREATE INDEX idx_embeddings_vector ON memory_embeddings(vector_id);

-- Memory relationships: Graph connections between memories
CREATE TABLE memory_relationships (
    relationship_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    source_memory_id UUID NOT NULL REFERENCES memory_records(memory_id) ON DELETE CASCADE,
    target_memory_id UUID NOT NULL REFERENCES memory_records(memory_id) ON DELETE CASCADE,
    relationship_type VARCHAR(50) NOT NULL CHECK (relationship_type IN ('references', 'contradicts', 'supports', 'follows', 'related')),
    confidence_score FLOAT CHECK (confidence_score >= 0 AND confidence_score <= 1),
    created_at TIMESTAMPTZ DEFAULT NOW(),
    CONSTRAINT no_self_reference CHECK (source_memory_id != target_memory_id),
    CONSTRAINT unique_relationship UNIQUE(source_memory_id, target_memory_id, relationship_type)
);

CREATE INDEX idx_relationships_source ON memory_relationships(source_memory_id);
CREATE INDEX idx_relationships_target ON memory_relationships(target_memory_id);
CREATE INDEX idx_relationships_type ON memory_relationships(relationship_type);

-- Data sources: Allowlist of approved information sources
CREATE TABLE data_sources (
    source_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    source_name VARCHAR(255) NOT NULL UNIQUE,
    source_type VARCHAR(50) NOT NULL CHECK (source_type IN ('api', 'database', 'file_system', 'webhook', 'manual')),
    source_uri TEXT,
    is_active BOOLEAN DEFAULT true,
    created_at TIMESTAMPTZ DEFAULT NOW(),
    last_ingestion_at TIMESTAMPTZ,
    metadata JSONB DEFAULT '{}'
);

CREATE INDEX idx_sources_active ON data_sources(is_active);
CREATE INDEX idx_sources_type ON data_sources(source_type);

-- Access policies: Fine-grained access control
CREATE TABLE memory_access_policies (
    policy_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    policy_name VARCHAR(255) NOT NULL UNIQUE,
    policy_rules JSONB NOT NULL,  -- OPA Rego rules
    is_active BOOLEAN DEFAULT true,
    created_at TIMESTAMPTZ DEFAULT NOW(),
    updated_at TIMESTAMPTZ DEFAULT NOW()
);

CREATE INDEX idx_policies_active ON memory_access_policies(is_active);

-- Where Aerich keeps account of what is applied. A downgrade leaves it in place: Aerich still writes to it.
CREATE TABLE IF NOT EXISTS aerich (
    id SERIAL NOT NULL PRIMARY KEY,
    version VARCHAR(255) NOT NULL,
    app VARCHAR(100) NOT NULL,
    content JSONB NOT NULL
);
"""


async def downgrade(db: BaseDBAsyncClient) -> str:
    return """
DROP TABLE memory_access_policies;
DROP TABLE data_sources;
DROP TABLE memory_relationships;
DROP TABLE memory_embeddings;
DROP TABLE memory_records;
"""


MODELS_STATE = (
    "eJztXG1T4zgS/iuqfIGpYqaABXZqp/ZDgHCwC2QKws7W3lwZxVYSHbaVsZUJKY7/ft2SHL"
    "8m2CGAIXwaIqklu59Wq59We+4annCYG346pJJeilFgs8Zv5K7hUw//KOjdIA06HMZ92CBp"
    "11XDHRhnhWqg6qDdUAbUltDXo27IoMlhoR3woeTCR4mmT5gvgwkRPSIHjFDXFWOXh/I3Qo"
    "meCdqpJB7zRMBZSDw6IV1GuN9noWQO6QXC+4SLOcKG1aB9yfOOfP5jxCwp+gxmCmD2f/8H"
    "mrnvsFt4Tfh51+hx5jrq7wYPLXhj/pM1cBS7HQYsDOFtw0gw0i13biNdRRKoy8lQ9TaUMG"
    "hP/bjfIKlFtJylBldYRo2fvQiKDW8stU7KDMxy3EEB1W1FU5w4R2o4AtC1bOGOPD8nMpzI"
    "gfCnMqMRdz5dXZ0cYl+f+SygoPGEkfgj1zU2FTVpFKBBBiM2Vb8TNzisR0cumhpK68eJ2x"
    "qXP9xD/Wt9DZa0Auo7wrPwUdY/rH1o5E3zxAEL4j20DbQg/UJf1N9o510aMtLjrhsSLsFs"
    "siZonsIGSEDB3JeIzN29frBYh6q1gesdHDcv1n/ZU48yFKHsB6qzoRR1rwRxe8VWkMNH/c"
    "whdA6tczGKxDIowWM/Iz6Wdd7uWJetjmUVYNGZArAWEnzeDWIWLKX1hsd9y2V+Xw7g5xYM"
    "8Oht3LC9uzsHl7+aFwoaGKWwEeDRtLs7N13buu9e7dIMJtGWS2NyMBDcno9KJLgcVKKGGJ"
    "bYIT8Cl2/oQm9gUvSz4QQcp5fYLISHZfFJwrG7WQKN3c2ZYGBXIRajgBdsD6O1DjjCuYAY"
    "6YXwMHvg6eFgAUsDQHpi5DuPdk6d1t8dnMQLwx9uUt3rZ82/FRLexPScts//FQ1PwHNw2t"
    "7PwMKTB18alSOX9ovRSAllwOgK4T4jGlPPlgLhCGXJeMBdRnwhB6BxFVzYwmMqqoDz4tF4"
    "7Lfbpyk89k+yCr86229drG8pcGAQl/q8Pu9kULADhqqyqMzD0OEeREPUGxZjkRbNgAGnFZ"
    "Mg/yn64zn3SfK498V4xhEP+8VPbpcxDQlEt4H4yZawZU7OWped5tnXFE6HzU4Le7ZTeyZq"
    "Xd/LeLXpJOTbSeeY4E/yT/u8lQ0SpuM6/2Cw2KAjKSx4cYs6Sa1FzVFTyhBcGkpLx7+gn0"
    "XsoXCGOpnFg+7TB1PwmN60+DbEpkvcta/OJEAVFKPOvCX8EQq/3f0vs2ccmknJrAVwW76Q"
    "L/jeWLu7X/veKHIGTfLHZfucCPVSEW+0gTiyAIJOMX58hI/zzz9Es+dlBlKcAA9RJGq9mw"
    "QVwIYutW/GNHCsXI/YFrPG5ru8bS/bQn3aVwrHN8b3M2mBM+TOk6YN1DL8KlxuTxoFyYOC"
    "URvzkgiKkU/gkEcBa4gSvHQ6gajxE83tHWZzGIBnsT0g8A6+VCexI6AJ+sdcDkynXrQgj7"
    "CECZ8ygRCp5+EMwkxyr1+wErlPibwFcq9fqJ7k3ii7KrnPiNWc3OunfTXk3ig3GLnaM1U7"
    "G7PSi52Pz8XxER71qJg6TR6RyiXaNFDp0/bXJrlgfVGfQ3K1mGbsxZD0A+9EIuPyJfCYd6"
    "q5VKppQEKqGUoRrCLRHA2dRc0gLfo2zEDzzAH1+6tiDLXiLy2vyxxHq3sGeYmHlGEuLBpd"
    "krTorC01lAFioJ9wuoqAgPeGM5dLiEEdiEGV2Zgu5Tm+EOGDIbHASBKIesl0caIeMM9onn"
    "y1inTHKA24RAm6E6vW0nJzCE/mylS/S/V1tNwixGo6SSVulZV6C/QqEON6cqvYKCowq5RQ"
    "ra/nOtM9vDZrW9eXY8UbQfmWKggViNYeJ/WkpiaFOiwB1FIg2tosc6sKo2ZCpPre4/lsIA"
    "e+baWD+fj8Ln3EpUSWeb495fbUQY/anykfCmchXrKX3KWLH2O5mDkLQUFqAyyS9/0/2UTh"
    "cOLj09pF6YxUtHvBbBE4b1r/cWvsOQI6ngZxaRMFRYF6mM5qHDQvD5qHLR33vRRnMRDNJC"
    "wxhA+ylUANLUlV2v4UCdFThEBfgpgfkvnUVyWWEgLkDXLDhtAHJpenIQvP9N3/7l8wl+Ij"
    "AWG5vo5j9evrDfgtRrIv8OxnTp9BG1mXAx5Gi/FkNd8HRWKur7lvCy8lgpGpHilpAETmwy"
    "LURr1RScYR3XqhSHlSo9VUbQktU36NirWmZpVwWi5cbpVEPFB+ESNUYRXhS8RkQMNBhXXU"
    "8NKL8NC4i0rAz7+/I9+OWxctEk9Nftd7dA7/rNPJ/FLMU79QPcnn1D1UYDZJmdpTGu3Rp0"
    "e28cBd5gpw1kSWvCt6Ce4Z+9UK2KSEag+OftpXic6KlFZHtbwGGawfDVUpWllknraoOjpL"
    "MUArgEH3ziD/GdGaA0FVMBgwD0NNIPkbhuwTdgvHtjshQP/7cHo//jR5kjLrVNCTA+oYWu"
    "ejFMnVGqWzw92oZu+qc/TxM+lOJGwXaEoaG2ZAXTFmwUcbA4EBAIg1XR51v+D+Go4wshpj"
    "agdv0Ctgmt5sezslNtvezszNhl1pDN8LMWtZiPmeDE0nQ81Rtcr50PfihpQZrF5xQ6buLE"
    "oF5IxhbuFZQuplK89mJAI7ML3KxyXxVl+bBX0h5RJCoSWWnRllLrIl06J12pIlPmXJbMXl"
    "YfMq9mGFIqOCS+eCst59I3v0Z5R/fugmJVU3VJNA+RkuU1KbL52OX4ZWp9n/AR/WXLH4zq"
    "jWQIaEVvt+bL5W0zcWq6hVhqb6aJ0+x1VdQq9zLuzS2i9xbRcLlP44yuEB7HRMYKAJOFqR"
    "6uNGEV/HSUEofrfMgqLPoRaZouK1mcnSVSoMTKmj8uWTvuN7zIp6hvIrJqVLX61lllzwP3"
    "NJLV3lcqhA8C1cEaEF1/OCKG8kOazmZbsLxWudxPsWeXjzPX5IJ2GUAIp3WC1S3z0OVgRe"
    "KrRNEWUu/W1GzMyt5mbIQNNzBX3W9Nx8bI7FmIQjcyWhvD4PN7Tn30SHv/WFnOMRMFb3Fr"
    "7oCmcCAPKSrB/eEv7ZhA71UltzIDtsX+2ftsjXi9bByeWJyeRN6YbqTDPCi1bz9D1Zl6OG"
    "CsRVTtXlAo3SR2GR5CstZHwERVnouEtcsmejrtLqL5J8zepfhMsst4Q0ZdAFuco3XEm6TI"
    "6+kSkjLfITxdWkMzfGCoKxFGqfhaLIZ9SpsLfJAm4PGgUZAtOzMS8rQOMxD+UBIqTymn2Y"
    "p88klYXee1b5R6HD5n4u2DUwPvd/SDFbQYUx68ftrZ1fdz7/srfzOYpepy2/znHW0T3FvK"
    "/TgtBk7rKsjwazvk2bitSZ6ZVX8dNXk+GmqqBhM/wNavdpPhHT1Td5DWMJxdy6oyJ2xW1J"
    "/kfw/3F+hdp+joKUF/2y/v7/OKP+/g=="
)
