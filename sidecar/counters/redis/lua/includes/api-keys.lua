-- API keys, in one hash. A field each, by its id, holds `<revision>:<JSON>`. `@published` says that the ledger's keys are there,
-- and is lost with them; no id begins so.
local PUBLISHED = '@published'

-- The revision that is kept, 0 if there is none. Raises a string if the key or the field holds something else: to be asked before
-- the first write.
local function kept_revision(key, id)
  local stored = redis.pcall('HGET', key, id)
  if not stored then return 0 end
  if type(stored) == 'table' then error(stored.err, 0) end
  local revision = whole(string.match(stored, '^(%d+):'))
  if not revision then error('API key ' .. id .. ' holds something else', 0) end
  return revision
end

-- The keys from an argument on, three to each: its id, its revision, its JSON. Raises a string for a revision that is none.
local function given_keys(first)
  local given = {}
  for i = first, #ARGV, 3 do
    local revision = whole(ARGV[i + 1])
    if not revision or revision < 1 then error('revision ' .. tostring(ARGV[i + 1]) .. ' is not a whole number from 1', 0) end
    given[#given + 1] = { id = ARGV[i], revision = revision, json = ARGV[i + 2] }
  end
  return given
end

local function keep_key(key, given)
  redis.call('HSET', key, given.id, text(given.revision) .. ':' .. given.json)
end

-- Closes for good what is named from a key on.
local function close_gates(first)
  for i = first, #KEYS do redis.call('SET', KEYS[i], text(MAX_AMOUNT)) end
end

-- One step over the keys: where the next one begins ('0': nowhere), and fields and what they hold by turns. Raises a string if the
-- key holds something else.
local function scan_keys(key, cursor, count)
  local found = redis.pcall('HSCAN', key, cursor, 'COUNT', count)
  if found.err then error(found.err, 0) end
  return found[1], found[2]
end
