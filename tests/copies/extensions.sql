-- Extensions that Debian's PostgreSQL has, and columns of their types.
create extension hstore;
create extension citext with schema chat;
create extension ltree;
create extension pg_trgm;
create extension btree_gist;
create table chat.extended (pairs hstore, name chat.citext, path ltree);
insert into chat.extended values ('a=>1, b=>NULL', 'Name', 'top.sub'), ('', 'NAME', '');
create index on chat.extended using gin (name gin_trgm_ops);
comment on extension hstore is 'pairs of ours';
create collation chat.folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table chat.folded (word text collate chat.folding);
insert into chat.folded values ('Word');
