#!lua
-- Puts API keys of one tenant into their new states, all or none of them, in one step with their audit event.
--
-- KEYS[1]  the usage stream
-- KEYS[2]  the API keys
-- KEYS…    the gates that are closed for good; every key has the same hash tag, so all are in one slot
-- ARGV[1]  JSON of the audit event, without its time and its closing brace
-- ARGV[2]  how many API keys there may be
-- ARGV[3]… three for each key: its id, its revision, its JSON
--
-- Returns
--   changed  it is done
--   stale    some key is not at the revision below: nothing was done
--   full     there are as many as there may be: nothing was done
--
-- @include whole
-- @include now
-- @include api-keys

local most = whole(ARGV[2])
if not most then error('the number of API keys is not a whole number', 0) end

local added, changes = 0, given_keys(3)
for _, given in ipairs(changes) do
  local revision = kept_revision(KEYS[2], given.id)
  if revision ~= given.revision - 1 then return 'stale' end
  if revision == 0 then added = added + 1 end
end
if added > 0 then
  local kept = redis.call('HLEN', KEYS[2]) - redis.call('HEXISTS', KEYS[2], PUBLISHED)
  if kept + added > most then return 'full' end
end

-- The only write that can fail, where the stream holds something else: so it is the first.
redis.call('XADD', KEYS[1], '*', 'e', ARGV[1] .. ',"at":' .. text(store_time()) .. '}')
for _, given in ipairs(changes) do keep_key(KEYS[2], given) end
close_gates(3)
return 'changed'
