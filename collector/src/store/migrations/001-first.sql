-- The first schema. Types: TEXT, BIGINT (times in microseconds UTC), BOOLEAN, BLOB. Ids are TEXT.
-- `sum` is the sum of a row's other columns, see `store::sum`; the writer of a row knows which and in which order.
-- "clustered" tables are small rows that are read in the order of their key.

-- One row: the deployment whose keys lie beside the database.
create table deployment (
    id TEXT not null primary key,
    sum BIGINT not null
);

create table journal (
    seq BIGINT PRIMARY KEY,
    at BIGINT not null,
    actor TEXT not null,
    actor_name TEXT not null,
    cause TEXT not null,
    kind TEXT not null,
    subjects TEXT not null,
    subject_names TEXT not null,
    body TEXT not null,
    sum BIGINT not null
);
create index journal_actor on journal (actor, seq);
create index journal_kind on journal (kind, seq);

-- Has no sum: the entry says the same, and whoever reads a timeline compares.
create table journal_subject (
    subject TEXT not null,
    seq BIGINT not null references journal (seq),
    primary key (subject, seq)
) /* clustered */;

create table join_token (
    id TEXT not null primary key,
    rev BIGINT not null,
    hash BLOB not null,
    created BIGINT not null,
    creator TEXT not null,
    expires BIGINT not null,
    uses BIGINT not null,
    used BIGINT not null,
    cidr TEXT,
    approve BOOLEAN not null,
    labels TEXT not null,
    revoked BOOLEAN not null,
    sum BIGINT not null
);

create table api_token (
    id TEXT not null primary key,
    rev BIGINT not null,
    hash BLOB not null,
    name TEXT not null,
    scopes TEXT not null,
    created BIGINT not null,
    creator TEXT not null,
    expires BIGINT not null,
    cidr TEXT,
    revoked BOOLEAN not null,
    sum BIGINT not null
);

create table idempotency_key (
    actor TEXT not null,
    name TEXT not null,
    hash BLOB not null,
    at BIGINT not null,
    told TEXT not null,
    sum BIGINT not null,
    primary key (actor, name)
);
create index idempotency_key_at on idempotency_key (at);
create index idempotency_key_actor on idempotency_key (actor, at);

create table asset (
    id TEXT not null primary key,
    rev BIGINT not null,
    created BIGINT not null,
    updated BIGINT not null,
    class TEXT not null,
    lifecycle TEXT not null,
    agent TEXT,
    name TEXT,
    maker TEXT,
    model TEXT,
    serial TEXT,
    os_name TEXT,
    os_version TEXT,
    kernel TEXT,
    arch TEXT,
    memory_bytes BIGINT,
    cpu TEXT,
    tag TEXT,
    owner TEXT,
    location TEXT,
    criticality BIGINT check (criticality between 1 and 4),
    sum BIGINT not null
);
create index asset_serial on asset (serial);

create table agent (
    id TEXT not null primary key,
    rev BIGINT not null,
    state TEXT not null,
    reason TEXT not null,
    name TEXT not null,
    version TEXT not null,
    token TEXT not null,
    labels TEXT not null,
    source TEXT not null,
    enrolled BIGINT not null,
    first_key TEXT not null,
    current_generation BIGINT,
    current_fingerprint TEXT,
    current_expires BIGINT,
    next_generation BIGINT,
    next_fingerprint TEXT,
    next_expires BIGINT,
    roots BIGINT not null,
    recoveries BIGINT not null,
    asset TEXT,
    stream BLOB,
    seq BIGINT not null,
    record BLOB not null,
    root BLOB not null,
    goodbye TEXT,
    sum BIGINT not null
);
create unique index agent_first_key on agent (token, first_key);

-- A row for each agent, from its first moment on: where one is missing it was lost, not never heard.
create table seen (
    agent TEXT not null primary key,
    at BIGINT,
    sum BIGINT not null
) /* clustered */;

create table held (
    agent TEXT not null,
    stream BLOB not null,
    at BIGINT not null,
    record TEXT not null,
    sum BIGINT not null,
    primary key (agent, stream)
);

create table evidence (
    kind TEXT not null,
    value TEXT not null,
    asset TEXT not null,
    sum BIGINT not null,
    primary key (kind, value, asset)
) /* clustered */;
create index evidence_asset on evidence (asset, kind, value, sum);

create table address (
    address TEXT not null,
    asset TEXT not null,
    sum BIGINT not null,
    primary key (address, asset)
) /* clustered */;
create index address_asset on address (asset, address, sum);

create table section (
    asset TEXT not null,
    name TEXT not null,
    state TEXT not null,
    digest BLOB not null,
    row_count BIGINT not null,
    problems TEXT not null,
    truncated BOOLEAN not null,
    held BLOB,
    changed BIGINT not null,
    sum BIGINT not null,
    primary key (asset, name)
) /* clustered */;

create table item (
    asset TEXT not null,
    section TEXT not null,
    item_key TEXT not null,
    kind TEXT not null,
    label TEXT,
    maker TEXT,
    model TEXT,
    serial TEXT,
    size BIGINT,
    attrs TEXT not null,
    volatile TEXT not null,
    sum BIGINT not null,
    primary key (asset, section, item_key)
) /* clustered */;
create index item_serial on item (serial) where serial is not null;

-- Software. What is installed is a packed list of numbers of versions (the codec says how); a version is
-- one exact row as agents report it, kept once.
create table title (
    id BIGINT PRIMARY KEY,
    manager TEXT not null,
    name TEXT not null,
    arch TEXT not null,
    sum BIGINT not null
);
create unique index title_name on title (name, manager, arch);

create table version (
    id BIGINT PRIMARY KEY,
    title BIGINT not null references title (id),
    version TEXT not null,
    sort_key BLOB not null,
    row_digest BLOB not null,
    item_key TEXT not null,
    publisher TEXT,
    size BIGINT,
    body TEXT not null,
    sum BIGINT not null
);
create unique index version_row on version (row_digest);
create index version_key on version (item_key);
create index version_title on version (title, sort_key);

create table install (
    asset TEXT not null,
    section TEXT not null,
    ids BLOB not null,
    sum BIGINT not null,
    primary key (asset, section)
);

create table fault (
    fingerprint TEXT not null primary key,
    asset TEXT not null,
    check_name TEXT not null,
    resource TEXT not null,
    state TEXT not null,
    severity TEXT not null,
    value BIGINT not null,
    detail TEXT not null,
    first_at BIGINT not null,
    last_at BIGINT not null,
    reports BIGINT not null,
    good_since BIGINT,
    ticket TEXT,
    sum BIGINT not null
);
create index fault_asset on fault (asset, state);
create index fault_state on fault (state, last_at);
create index fault_waiting on fault (check_name, state, last_at, fingerprint);

create table ticket (
    id TEXT not null primary key,
    number BIGINT not null,
    rev BIGINT not null,
    kind TEXT not null,
    state TEXT not null,
    title TEXT not null,
    description TEXT not null,
    impact BIGINT not null check (impact between 1 and 3),
    urgency BIGINT not null check (urgency between 1 and 3),
    priority BIGINT not null check (priority between 1 and 5),
    assignee TEXT,
    requester TEXT,
    opened BIGINT not null,
    updated BIGINT not null,
    resolution_code TEXT,
    resolution_text TEXT,
    fields TEXT not null,
    rule TEXT,
    fingerprint TEXT,
    count BIGINT not null,
    last_seen BIGINT,
    touched BOOLEAN not null,
    snapshot TEXT,
    sum BIGINT not null,
    count_sum BIGINT not null,
    snapshot_sum BIGINT not null
);
create unique index ticket_number on ticket (kind, number);
create index ticket_state on ticket (state, id);
create index ticket_assignee on ticket (assignee, id) where assignee is not null;
create index ticket_rest on ticket (kind, state, updated, id);
-- The state spares a look at rows that are over.
create index ticket_fingerprint on ticket (fingerprint, opened, state) where fingerprint is not null;

create table comment (
    id TEXT not null primary key,
    ticket TEXT not null references ticket (id),
    at BIGINT not null,
    actor TEXT not null,
    text TEXT not null,
    sum BIGINT not null
);
create index comment_ticket on comment (ticket, id);

create table link (
    id TEXT not null primary key,
    from_end TEXT not null,
    rel TEXT not null,
    to_end TEXT not null,
    source TEXT not null,
    created BIGINT not null,
    sum BIGINT not null
);
create unique index link_pair on link (from_end, rel, to_end);
create index link_to on link (to_end, id);
