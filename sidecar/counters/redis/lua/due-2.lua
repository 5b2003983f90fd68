#!lua
-- Tells which reservations nobody settled in time, the oldest first.
--
-- KEYS[1]  the open reservations: record keys, scored by when they expire
-- KEYS[2]  the number of records
-- ARGV[1]  how many at most
--
-- Returns how many records there are, then the record keys.
--
-- @include whole
-- @include now
-- @include mul-div
-- @include token-bucket
-- @include calendar-window
-- @include kinds
-- @include record-count

local now = store_time()
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now), 'LIMIT', 0, ARGV[1])
return { live_records(KEYS[2], now), unpack(due) }
