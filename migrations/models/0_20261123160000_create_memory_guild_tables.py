"""The five tables, exactly as the specification says, and Aerich's own table beside them."""

from tortoise import BaseDBAsyncClient

RUN_IN_TRANSACTION = True


async def upgrade(db: BaseDBAsyncClient) -> str:
    return """
-- The schema is the first of the connection's search_path; where it is missing, it is created.
DO $$
BEGIN
    IF current_schema() IS NULL THEN
        EXECUTE format('CREATE SCHEMA %I', (parse_ident(current_setting('search_path'), false))[1]);
    END IF;
END $$;

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
    "eJztXG1T4zgS/iuqfIGpykzNsMBO7dR+CBAOdoFMQdjZ2psro9hKosO2MrYyIcXx369bku"
    "P4JcFOQjCEb0RSS3Y/rVY/rTb3NU84zA0/HFFJr8QwsFntN3Jf86mHf+T01kmNDgZxHzZI"
    "2nHVcAfGWaEaqDpoJ5QBtSX0dakbMmhyWGgHfCC58FGi4RPmy2BMRJfIPiPUdcXI5aH8jV"
    "CiZ4J2KonHPBFwFhKPjkmHEe73WCiZQ7qB8D7gYo6wYTVoX/G8Q5//GDJLih6DmQKY/d//"
    "gWbuO+wOXhN+3te6nLmO+rvGQwvemP9kNRzF7gYBC0N42zASjHTLnbtIV5EE6nI8UL01JQ"
    "zaUz8e6iSxiJaz1OASy6jxsxdBscGtpdZJmIFZjjsooLqtaIpT51gNRwA6li3coednRAZj"
    "2Rf+RGY45M6H6+vTI+zrMZ8FFDQ+ZST+0HWNTUVNGgVokMGQTdTvxA0O69Khi6aG0vpx4r"
    "ba1Q/3SP/a3oIlrYD6jvAsfJTtd1vvalnTPHXAgngXbQMtSL/QF/U32nmHhox0ueuGhEsw"
    "m7QJmqewARJQMPclInP/oB8s1qFqreF6hyeNy+1f9tWjDEQoe4HqrClFPShB3F6xFWTwUT"
    "8zCF1A61yMIrEUSvDYa8THsi5abeuq2basHCzaEwC2QoLPWydmwUJar3n0znKZ35N9+Lmz"
    "tzcHhr8alwoJGKWgEODAtHe7MF07uu9BbcoUBNEOS0Jw2Bfcng9CJLgaEKKGGIXY/y4Bwz"
    "f0mLcwKbrVcAx+0pvaG4SHi8Cx97EAGnsfZ4KBXblYDAOesxuM1trg9+YCYqQXwsOY/NPD"
    "wQKWBIB0xdB3lvZF7ebfbZzEC8Mf7rS6t88bfyskvLHpOWtd/CsaPgXP4VnrIAULnz7nkq"
    "gcu7SXj0ZCKAVGRwh3jWhMHFkChGOUJaM+dxnxheyDxlUsYQuPqSACjoel8Thotc4SeByc"
    "phV+fX7QvNz+pMCBQVzq4/minULBDhiqyqIyC0ObexD8UG+Qj0VSNAUGHE5MgvyH6I917p"
    "Pp090XoxknOuwXf3q7jGhIIJgNxE+2gi1zet68ajfOvyZwOmq0m9izk9gzUev2fsqrTSYh"
    "307bJwR/kn9aF810TDAZ1/4HY8MaHUphwYtb1JnWWtQcNSUMwaWhtHS4C/pZxB5yZ6iSWT"
    "zqPn0wBY/pTYtvQ2y6wl374kwCVEExyMxawh+h8Fud/zJ7xqE5LZm2AG5L8j+C5OuZXML3"
    "2tb9w9b3Wp5PaJA/rloXRKh3i9iiDXSRBRBqitHycT3OP/8sTR+bKWRxAjxLkZ51b6cIAD"
    "Z0qH07ooFjZXrEjpg1Ntvl7XjpFurTnlI4vjG+n0kGnCNjHjdsIJThV+Fye1zLSRnkjKrP"
    "Sx0oHj6Gsx4FrAFK8MJJBKLGjzWjd5jNYQAeyXafwDv4Uh3IjoAm6B9x2TedetGc7MEKJn"
    "zKtEGknsfzBjMpvX7BUpQ+IfIaKL1+oWpSeqPsspQ+JVZxSq+ftqqU3ugyGLraEZU7EdPS"
    "S52K6yL4CIp6YkyTTh+MyhHaNFCp0tbXBrlkPVGdo3GzaGbsu5DxA+lEFuPyFZCYN565Up"
    "5pQEKeGUoRbCLLHA6cRc0gKfo6zECTzD71e5tiDJViLU2vwxxHq3sGZYmHFOErLBpdkKro"
    "lC01RAEin59wuooA4gA8c7mEyNOByFOZjelSnqNOILhVrepZzN0ldRhGqtvCByNjgZlVDV"
    "XD3mWpzXM8QEkqZFQLPKMAFYoBsLTcHDKUukTVr1d+HS23COmaTFKKd6WlXgP1CsSomrwr"
    "NooSrCshVOkbvPZkW2/N2umV4V+x3StfUgaQHNHKw5L2qzEuiyDy6WORa1UYNRMR1fcW06"
    "eDOfBcGx3Qx6dz4QMsIbLK0+spd6OOZNR2THhIOOnwlr3gplz8kMrEzWkIctIbYJG85//J"
    "xgqHUx+f1s5LaSQi3ktmi8B51fqPW2PPEdDRJERLmigoCtTDdGbjsHF12Dhq6qjuuXiLgW"
    "gmaYkhfJSxBGpoQbrS8idIiC7BKF9ff5gfkvnUVyWVEsLfOrllA+gDk8vyjoVn+u5/9y+Z"
    "S/GRgKHc3MSR+M1NHX6LoewJPOqZ02PQRrZln4fRYny6eu+dYiY3N9y3hZcQwbhTj5Q0AJ"
    "qyEHFRb1SQT0T3XShSnLJoNZVbQssUX6NkbalZJZyUBxdbZSoeKL6IESqxivAlYtKnYb/E"
    "Omp44UV4aNxFKeDn39yRbyfNyyaJpya/6z06h11W6WR+Ll6pX6ia1HLiHkoQmWmZyjMY7d"
    "EnR7bxwB3mCnDWRBa8L1oDs4zdaAkoEkKVx0I/7UsAY0Mqp6NSXQMEloeGqtJsESBWXzMd"
    "nZQYfuXAoHtnUPuUaMWBoCrUC5iHgSRQ+Lqh8oTdwaHsjgmQ+x6czcufFU9SRZ0IaTJAnU"
    "DrfJQiuUqjdH60F9XiXbeP338mnbGE7QJN08aG2UtXjFjw3sZjvg8AYq2WR90vuL8GQ4yb"
    "Rpi4wTvyEpgmN9v+boHNtr87c7NhVxLDtzrLKtdZvmU8kxlPc2JtctLzrYohYQabV8WQKj"
    "CL+H7GGOZWmE1JPW+J2YxsXxumV0m3abzVN2VBT0i5gohohfVlRpmLbMmkaJW2ZIEPVlJb"
    "cXXYvIh9WKKaKOciOaeM98DIHv8ZJZkfuy5JFAhVJF5ew41JYvMlc+6r0Ookxd/ng4orFt"
    "8Z1RrIkNByX4nN12ryWmITtcrQVJfW6Tru46b0OudWLqn9AndzsUDhb58cHsBOxzwGmoCj"
    "Fak+YRTxnZsUhOLXySzI+9ppkSlK3o2ZZF2p2r6EOkrfMOmLvGVW1DMUX3FauvD9WWrJBf"
    "9DS2LpMjdAOYKv4R4ILbiat0BZI8lgNS/pnSte6Vzet8jDm6/uQzoOowRQvMMqkQHvcrAi"
    "8FKhbeogM1lwM2JmijUzQwqarivoWtNz87E5ESMSDs3NhPL6PKxrz/8RHf6nL+QCj4CRur"
    "7wRUc4YwCQL8/6j1rXB2dN8vWyeXh6dWoydxN6oTqTDPCy2Th7S85lqKACbZNTc5nAovDR"
    "lyf5QqsTl6AkCx1vU1fp6SirsPrzJF+y+hfhLqutC00YdE5u8hWXh66Sk9dTtaF5fiK/RH"
    "TmxthAMFZC5dNQ5PmMKlXrNljA7X4tJyNgeurzsgA0HvMY74+Qymr2cV4+k0Tmeu9ZVR+5"
    "Dpv7meDWwLju/y8xW0FpWtHDR3i/82n3193Pv+zvfoYh6jEnLb/OcdbRvcS8D8qC0GTq0i"
    "yPBrM+J5uIVJnZFVfx0xeR4aYqoWEz/BVq92m++9JFN1kNY8nE3HKjPHZVxf98Uljb6yhA"
    "edZP5h/+D+hv7zo="
)
