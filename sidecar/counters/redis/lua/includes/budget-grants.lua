-- Boosts of budgets, in one hash. A field each holds `<until>:<at>:<JSON>`: until when it is remembered, when it was granted, and
-- what it is; nothing if it was taken back. Two are about all of them: `@v` is another one after each change, also in a
-- store that was emptied, and `@first` is before when none is over. Fields are percent-encoded ids, so none is called so.

-- What is known of all of them. Raises a string if the key holds something else: to be asked before the first write.
local function read_grants(key)
  local stored = redis.pcall('HMGET', key, '@v', '@first')
  if stored.err then error(stored.err, 0) end
  return { key = key, version = stored[1] or '', first = whole(stored[2]) or MAX_AMOUNT }
end

-- Until when a field is remembered. Not by `whole`, which would be most of the time that reading 10,000 of them takes.
local function ends_of(field, stored)
  local ends = string.match(stored, '^(%d+):')
  if not ends then error('budget grant ' .. field .. ' holds something else', 0) end
  return tonumber(ends)
end

-- What a field holds: {ends, at, json}; nil if there is nothing, or if it is over.
local function remembered(field, stored, now)
  if not stored then return nil end
  local ends, at, json = ends_of(field, stored), string.match(stored, '^%d+:(%d+):(.*)$')
  if not at then error('budget grant ' .. field .. ' holds something else', 0) end
  return ends > now and { ends = ends, at = at, json = json } or nil
end

-- Calls `see` with the end and the text of each that is not over, and returns the fields of those that are.
local function each_grant(key, now, see)
  local over, all = {}, redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local field, stored = all[i], all[i + 1]
    if field ~= '@v' and field ~= '@first' then
      local ends = ends_of(field, stored)
      if ends > now then see(ends, stored) else over[#over + 1] = field end
    end
  end
  return over
end

local function write_grant(grants, field, entry, now)
  local changes = tonumber(string.match(grants.version, '^%d+') or '0')
  redis.call(
    'HSET', grants.key, field, text(entry.ends) .. ':' .. entry.at .. ':' .. entry.json,
    '@v', text(changes + 1) .. '-' .. text(now), '@first', text(math.min(grants.first, entry.ends))
  )
end

-- The event of a grant: `tokens` and `by` as JSON.
local function adjusted(grant, id, tokens, by, decided_at, at)
  return event_json(
    { event = grant.event, id = id }, 'adjusted', '[]', '{"granted":true,"reason":"ok"}', decided_at, at, nil,
    ',"grant":{"tokens":' .. tokens .. grant.terms .. ',"by":' .. by .. '}'
  )
end
