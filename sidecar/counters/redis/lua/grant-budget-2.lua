#!lua
-- Keeps a boost of a user's budget until it expires, once.
--
-- KEYS[1]  the usage stream
-- KEYS[2]  the boosts
-- ARGV[1]  its field
-- ARGV[2]  when it expires, in epoch milliseconds of the store's clock
-- ARGV[3]  JSON {id, event, tokens, terms, by}, each of them text: its id as it is within JSON; the JSON of its event as far as it is
--          known before, without its closing brace; its tokens in digits; what else the event says of it, as JSON
--          members with a comma before each; who granted it, as JSON
-- ARGV[4]  how many there may be
--
-- Returns {status, time}, where status is
--   granted   then when
--   replayed  then when it was granted before
--   expired   it would be over already: nothing was kept; then the time
--   full      there are as many as there may be: nothing was kept; then the time
--
-- @include whole
-- @include now
-- @include usage-event
-- @include budget-grants

local now = store_time()
local field, ends, json, most = ARGV[1], whole(ARGV[2]), ARGV[3], whole(ARGV[4])
local grant = cjson.decode(json)
local tokens = whole(grant.tokens)
if not (ends and most and tokens and tokens > 0) then error('an amount or instant is not a whole number', 0) end

local grants = read_grants(KEYS[2])
local known = remembered(field, redis.call('HGET', KEYS[2], field), now)
if known then return { 'replayed', known.at } end
if ends <= now then return { 'expired', text(now) } end

local over = {}
if now >= grants.first then
  grants.first = MAX_AMOUNT
  over = each_grant(KEYS[2], now, function(expiry) grants.first = math.min(grants.first, expiry) end)
end
local about_all = 2
if redis.call('HLEN', KEYS[2]) - about_all - #over >= most then return { 'full', text(now) } end

redis.call('XADD', KEYS[1], '*', 'e', adjusted(grant, grant.id, text(tokens), grant.by, text(now), text(now)))
for _, gone in ipairs(over) do redis.call('HDEL', KEYS[2], gone) end
write_grant(grants, field, { ends = ends, at = text(now), json = json }, now)
return { 'granted', text(now) }
