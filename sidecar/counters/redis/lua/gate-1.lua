#!lua
-- Closes a gate until an instant, or opens it.
--
-- KEYS[1]  the gate
-- ARGV[1]  until when it is closed, in epoch milliseconds of the store's clock; empty: it is open
--
-- Returns the time.
--
-- @include whole
-- @include now
-- @include gates

local now = store_time()
local closed = whole(ARGV[1])
if ARGV[1] ~= '' and not closed then error('until when the gate is closed is not a whole number', 0) end
if not closed or closed <= now then
  redis.call('DEL', KEYS[1])
else
  close_gate(KEYS[1], closed, nil, now)
end
return text(now)
