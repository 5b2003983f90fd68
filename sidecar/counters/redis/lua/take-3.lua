#!lua
-- Takes: refill, check all, take all or nothing, append the usage event; many decisions to a call, each on its own.
--
-- KEYS[1]  the usage stream; every other key has the same hash tag, so all of a call is in one slot
-- KEYS[2]  the open reservations: record keys, scored by when they expire
-- KEYS[3]  the number of records
-- KEYS…    for each decision: the keys that its plan names by their index, the record key (where the grant is remembered: not where
--          nothing is but added),
--          its request key if it is idempotent, the gate of its key if it has one, the key of its lost call if it has one,
--          that of its run if it counts the run's attempts;
--          last, if ARGV[5] is not empty, where it is remembered what came of this call. No other key is touched: so a
--          cluster sees before the script runs whether all of them are here
-- ARGV[1]  take  as above
--          peek  say what a take would come to, write nothing
--          owe   charge what was allowed while the store was away, for the first candidate, whether there is room or not
--          hold, owe_hold  the same as take and owe, for a decision whose event another partition appends: none is appended
--          here, and the record is kept in any case
-- ARGV[2]  milliseconds after which an unsettled reservation expires
-- ARGV[3]  the store's time after which nobody waits for the answer and nothing is taken; 0: there is no such time
-- ARGV[4]  how many records there may be
-- ARGV[5]  the number of this call, to be remembered with which of its decisions were taken; empty: it is not
-- ARGV[6]… four for each decision:
--   plan   what it has in common with others that are asked alike: see includes/limit.lua. One that was sent before is told by the
--          place of that argument. In its place may stand what is only added to counters that run: see includes/add.lua
--   own    what is its limits' own: see there
--   event  what of its usage event is known before, as JSON without the closing brace; it begins with `v` and `decision_id`
--   ask    how many keys the plan names, with the record key, and the member `model` of its event, with a comma before it. Or, where there is more to
--          say, JSON {keys, model, fingerprint}, and where it is so: idempotent, gated, quiet (a refusal leaves no event), decided_at (of
--          what is owed), shared {limits, record}: what was held at an account, for the event and for the record, as JSON,
--          refused: nothing is taken whatever there is room for; lost {call, index}: where it was asked for before;
--          attempts: how many takes its run may make; failed, whys: see `choose`, where another part of the decision knows
--
-- Returns a reply for each decision: words with a space between them, or, where there are texts to it, a list of the words and those.
-- The first word is
--   taken     then now, candidate (0: none), and for each limit seven: granted (1, 0), before, the counter as it is kept now, whose
--             digits are what is in use, capacity, reset_at, retry_after (-1: never), thresholds crossed (with commas between them;
--             -: none). Texts, if there is one: of what is held its record, else ''; closed gates as JSON ('': none)
--   added     in place of `taken`, where only sums were reckoned: then now, and for each counter what was in use before
--   unsure    then now: the plan is needed, for a counter does not run as its caller knew it, or has no room; or then `closed`: for
--             the event of a denial, the gate of its key is closed. Nothing was taken
--   refused   then now, 0, and the same for the common limits and those of the first candidate, but of the counter only what is in
--             use; texts: '', closed gates
--   replayed  text: the record of the grant
--   conflict  the request id was granted for another fingerprint
--   closed    then now: the gate of its key is closed
--   executed  it is owed, and was taken by the call that was lost
--   full      then now: there are as many records as there may be
--   late      then now, which is after the deadline; nothing was taken
--   stale_windows  then now, which is in none of the periods that the bounds tell
--   error     text: a message; nothing was written for this decision
--
-- @include whole
-- @include now
-- @include counters
-- @include gates
-- @include usage-event
-- @include sent-plan
-- @include add

local mode = ARGV[1]
local owe = mode == 'owe' or mode == 'owe_hold'
local hold = mode == 'hold' or mode == 'owe_hold'
local stream, open, records = KEYS[1], KEYS[2], KEYS[3]
local now = store_time()
local now_text = text(now)
local reservation_ttl = whole(ARGV[2])
local deadline = whole(ARGV[3])
local max_records = whole(ARGV[4])
if not reservation_ttl then error('the life of a reservation is not a whole number', 0) end
if not deadline then error('the deadline is not a whole number', 0) end
if not max_records then error('the number of records is not a whole number', 0) end
local late = deadline > 0 and now > deadline
local GRANTED = '{"granted":true,"reason":"ok"}'

local function append(event)
  local added = redis.pcall('XADD', stream, '*', 'e', event)
  if added.err then error(added.err, 0) end
end

-- What stands behind the limits of an event where nothing is to be reckoned but sums.
local added_rest = '],"decided_at":' .. now_text .. ',"at":' .. now_text .. '}'

-- Takes where that is so. What others of this call have changed is written first, for it reads what the server has.
local function add(plan, own, decision)
  if next(hashes) then
    flush_counters(now)
    hashes = {}
  end
  local adds = adds_of(plan)
  local words = look_at_adds(adds, own, decision.first, now)
  if not words then return 'unsure ' .. now_text end
  append(added_event(adds, decision.event, added_rest))
  write_adds(adds, now)
  return 'added ' .. now_text .. words
end

-- The id, of the event that begins with it.
local function id_of(event)
  local first = find(event, '"decision_id":"', 1, true) + 15
  return sub(event, first, find(event, '"', first, true) - 1)
end

local function append_denial(about, reason)
  local outcome = '{"granted":false,"reason":"' .. reason .. '"}'
  append(event_json(about, 'denied', '[]', outcome, now_text, now_text))
end

-- What a decision with a plan takes. Made when the first of a call needs it: to make all these functions takes the server 12 µs.
local by_plan = nil
local function with_plan()
  if by_plan then return by_plan end
-- @include mul-div
-- @include token-bucket
-- @include calendar-window
-- @include kinds
-- @include limit
-- @include look
-- @include runs
-- @include record
-- @include record-count
-- @include take
  by_plan = { take = take, flush = flush_record_count }
  return by_plan
end

-- Whether the call whose answer was lost has taken it.
local function was_taken(lost, key)
  local stored = redis.pcall('GET', key)
  if type(stored) ~= 'string' then return false end
  local call, taken = match(stored, '^(%d+):([01]+)$')
  return call == lost.call and sub(taken, lost.index, lost.index) == '1'
end

-- Most ask for nothing but to be decided: then it is the number of keys and the member `model`, and nothing needs to be decoded.
local asks = {}
local function ask_of(sent)
  local ask = asks[sent]
  if not ask then
    local digits, model = match(sent, '^(%d+)(.*)$')
    ask = digits and { keys = digits + 0, model = model, fingerprint = '' } or cjson.decode(sent)
    asks[sent] = ask
  end
  return ask
end

local function answer(ask, decision, argument)
  if late then return 'late ' .. now_text end
  if ask.lost and was_taken(ask.lost, decision.lost) then return 'executed' end
  local plan, own = sent_plan(ARGV[argument]), ARGV[argument + 1]
  local closed = decision.gate ~= '' and closed_until(decision.gate, now)
  local denies = closed and mode == 'take' and not ask.quiet
  if plan.adds and not closed then return add(plan, own, decision) end
  if plan.adds and denies then return 'unsure ' .. now_text .. ' closed' end
  decision.id = id_of(decision.event)
  if denies then append_denial(decision, 'revoked_key') end
  if closed then return 'closed ' .. now_text end
  return with_plan().take(plan, own, ask, decision)
end

local replies, taken = {}, {}
local decision = { event = '', id = '', model = '', first = 0, record = '', request = '', gate = '', lost = '', run = '' }
local key = 3

-- The key that comes next, if it was sent.
local function next_key(sent)
  if not sent then return '' end
  key = key + 1
  return KEYS[key]
end

for argument = 6, #ARGV, 4 do
  local ask = ask_of(ARGV[argument + 3])
  decision.event, decision.model, decision.first = ARGV[argument + 2], ask.model, key
  key = key + ask.keys
  decision.record = KEYS[key]
  decision.request = next_key(ask.idempotent)
  decision.gate = next_key(ask.gated)
  decision.lost = next_key(ask.lost)
  decision.run = next_key(ask.attempts)
  local ok, result = pcall(answer, ask, decision, argument)
  if not ok then
    result = result == 'stale_windows' and 'stale_windows ' .. now_text
      or { 'error', type(result) == 'table' and (result.err or 'error') or tostring(result) }
  end
  replies[#replies + 1] = result
end
flush_counters(now)
if by_plan then by_plan.flush() end
if ARGV[5] ~= '' then
  for i, each in ipairs(replies) do taken[i] = find(type(each) == 'table' and each[1] or each, '^[ta][ad][kd]e[nd] ') and '1' or '0' end
  redis.call('SET', KEYS[#KEYS], ARGV[5] .. ':' .. concat(taken), 'PX', text(RECORD_TTL_MS))
end
return replies
