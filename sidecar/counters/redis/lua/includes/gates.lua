-- Gates: a key that holds until when it is closed, in epoch milliseconds. One that is not there is open. Behind a colon may
-- stand for how long it closes again behind whoever goes through once that time is over: so one at a time does.
local PROBED_TTL_MS = 86400000
-- It is over when its time is; the key goes some time after.
local GATE_SLACK_MS = 3600000

-- Until when the gate is closed, nil if it is open; then for how long it closes behind whoever goes through, nil if it stays
-- open. Raises a string if the key holds something else.
local function closed_until(key, now)
  local stored = redis.pcall('GET', key)
  if not stored then return nil end
  if type(stored) == 'table' then error(stored.err, 0) end
  local closed_text, probe_text = string.match(stored, '^(%d+):?(%d*)$')
  local closed, probe = whole(closed_text), whole(probe_text)
  if not closed then error('gate ' .. key .. ' holds something else', 0) end
  if now < closed then return closed end
  return nil, probe
end

-- Closes a gate; `probe`: for how long it closes again behind whoever goes through, nil if it is open when its time is over.
local function close_gate(key, closed, probe, now)
  if closed == MAX_AMOUNT then
    redis.call('SET', key, text(closed))
  elseif probe then
    redis.call('SET', key, text(closed) .. ':' .. text(probe), 'PX', text(closed - now + PROBED_TTL_MS))
  else
    redis.call('SET', key, text(closed), 'PX', text(closed - now + GATE_SLACK_MS))
  end
end
