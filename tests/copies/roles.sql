-- Roles as an application has them: owners, one that only reads, and one whose name needs quotes.
create role chat_owner login connection limit 20;
create role "Customer Service" login noinherit;
create role reader;
create role auditor nologin valid until '2030-01-01 00:00:00+01';
grant reader to auditor with admin option;
grant chat_owner, "Customer Service", reader, auditor to akmadmin;
alter role chat_owner set work_mem = '8MB';
alter role reader set search_path = chat, public;
