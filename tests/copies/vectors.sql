-- What the other builds have.
create extension vector;
create table chat.embedded (id int, v vector(3));
insert into chat.embedded values (1, '[1,2,3]'), (2, '[-0,1e-30,3.4e38]');
