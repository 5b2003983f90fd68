-- Gates: a key that holds until when it is closed, in epoch milliseconds. One that is not there is open.

-- Until when the gate is closed, nil if it is open. Raises a string if the key holds something else.
local function closed_until(key, now)
  local stored = redis.pcall('GET', key)
  if not stored then return nil end
  if type(stored) == 'table' then error(stored.err, 0) end
  local closed = whole(stored)
  if not closed then error('gate ' .. key .. ' holds something else', 0) end
  return now < closed and closed or nil
end
