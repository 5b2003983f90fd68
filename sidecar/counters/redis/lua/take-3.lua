#!lua
-- Takes: refill, check all, take all or nothing, append the usage event; many decisions to a call, each on its own.
--
-- KEYS[1]  the usage stream; every other key has the same hash tag, so all of a call is in one slot
-- KEYS[2]  the open reservations: record keys, scored by when they expire
-- KEYS[3]  the number of records
-- KEYS…    for each decision: the keys that its plan names by their index, the record key (where the grant is remembered),
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
--   ask    how many keys the plan names, and the member `model` of its event, with a comma before it. Or, where there is more to
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
--   unsure    then now: the plan is needed, for a counter does not run as its caller knew it, or has no room. Nothing was taken
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
-- @include mul-div
-- @include token-bucket
-- @include calendar-window
-- @include kinds
-- @include counters
-- @include gates
-- @include add
-- @include limit
-- @include look
-- @include runs
-- @include usage-event
-- @include record
-- @include record-count

local mode = ARGV[1]
local owe = mode == 'owe' or mode == 'owe_hold'
local hold = mode == 'hold' or mode == 'owe_hold'
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

-- What the reply and the event say of each limit; both are put together of them at once, for each text in between costs as much.
local words, charges = { nil, nil, nil, nil }, { nil, nil, nil, nil }

-- One of a reply's limits. As a list of numbers and texts a reply took the server 2 µs to send, and the client as much to read.
local function words_of(limit, tail)
  local crossed = limit.crossed
  return (limit.granted and '1 ' or '0 ') .. limit.shown .. ' ' .. limit.digits .. tail .. ' ' .. common_text(limit.capacity) .. ' '
    .. (limit.rule.kind == 'w' and common_text or text)(limit.reset) .. ' ' .. common_text(limit.retry) .. ' '
    .. (crossed[1] and concat(crossed, ',') or '-')
end

local function reply(status, limits, candidate, receipt, closed)
  local said = status .. ' ' .. now_text .. ' ' .. candidate
  if #limits > 0 then said = said .. ' ' .. concat(words, ' ', 1, #limits) end
  if receipt == '' and #closed == 0 then return said end
  return { said, receipt, #closed > 0 and '[' .. concat(closed, ',') .. ']' or '' }
end

-- What was charged, as the event has it, with what was held at an account before it.
local function charges_json(limits, shared)
  local own = concat(charges, ',', 1, #limits)
  local others = shared and shared.limits
  return '[' .. (others and own ~= '' and others .. ',' or others or '') .. own .. ']'
end

local function append(event)
  local added = redis.pcall('XADD', KEYS[1], '*', 'e', event)
  if added.err then error(added.err, 0) end
end

-- Takes where nothing is to be reckoned but sums.
local function add(adds, own, decision)
  local words = look_at_adds(adds, own, decision.first, now)
  if not words then return 'unsure ' .. now_text end
  append(added_event(adds, decision, now_text))
  put_adds(adds)
  return 'added ' .. now_text .. words
end

local function append_denial(about, reason)
  local outcome = '{"granted":false,"reason":"' .. reason .. '"}'
  append(event_json(about, 'denied', '[]', outcome, now_text, now_text))
end

-- A run that has made as many takes as it may: how its first candidate stands.
local function exhausted(plan, limits)
  local first = plan.candidates[1]
  local passed = { closed = {}, whys = {} }
  pass_over(passed, first or { json = '""' }, '"attempts"', MAX_AMOUNT, 'attempts')
  look_at_all(limits, 1, first and first.last or plan.common, now)
  return joined(plan, limits, first), false, 0, passed.closed, {}
end

-- What is owed is charged whatever there is room for.
local function owed(plan, limits)
  local first = plan.candidates[1]
  look_at_all(limits, 1, first and first.last or plan.common, now)
  return joined(plan, limits, first), true, first and 1 or 0, {}, {}
end

-- What a limit comes to when it is charged. What is owed is not charged to a window that began since.
local function charge_limit(limit, decided_at)
  local rule, state = limit.rule, limit.state
  if owe then limit.granted, limit.over = true, rule.kind == 'w' and whole(decided_at) < state.start end
  if limit.over then return end
  local before = limit.before
  local used = charged(before, limit.cost)
  state.used = used
  if used ~= before then limit.digits = text(used) end
  if rule.announces then limit.crossed = announce(state, rule.thresholds, limit.capacity) end
end

-- What the plan comes to.
local function outcome_of(plan, limits, ask, key, run)
  local chosen, granted, candidate, closed, probes
  if run and run.attempts >= ask.attempts then
    chosen, granted, candidate, closed, probes = exhausted(plan, limits)
  elseif owe then
    chosen, granted, candidate, closed, probes = owed(plan, limits)
  else
    chosen, granted, candidate, closed, probes = choose(plan, limits, key, now, run and run.failed or ask.failed, ask.whys)
    if ask.refused then granted, candidate = false, 0 end
  end
  for i = 1, #chosen do
    local limit = chosen[i]
    if granted then charge_limit(limit, ask.decided_at) end
    local rule, state = limit.rule, limit.state
    limit.reset = reset_at(state, rule, now)
    if granted then
      local tail = state.tail
      if not tail then
        tail = print_tail(limit.field, state)
        state.tail = tail
      end
      charges[i] = '{"id":' .. limit.id .. rule.event .. ',"amount":' .. limit.amount .. ',"before":' .. limit.shown .. ',"after":'
        .. limit.digits .. ',"period_start":' .. (state.began or common_text(period_start(state))) .. '}'
      words[i] = words_of(limit, tail)
    else
      words[i] = words_of(limit, '')
    end
  end
  return chosen, granted, candidate, closed, probes
end

-- Writes the record of a grant, and finds it again by its request id and by when it expires.
local function keep(state, receipt, record_key, request_key)
  redis.call('SET', record_key, receipt, 'PX', text(RECORD_TTL_MS))
  count_record(KEYS[3], now)
  if request_key ~= '' then redis.call('SET', request_key, record_key, 'PX', text(RECORD_TTL_MS)) end
  if state == 'reserved' then redis.call('ZADD', KEYS[2], text(now + reservation_ttl), record_key) end
end

local function take(plan, own, ask, decision)
  local run = decision.run ~= '' and not owe and read_run(decision.run) or nil
  local limits, granted, candidate, closed, probes = outcome_of(plan, limits_of(plan, own, decision.first), ask, decision.first, run)
  if not granted then
    if mode == 'take' and not ask.quiet then append_denial(decision, 'rate_limited') end
    return reply('refused', limits, 0, '', closed)
  end
  local chosen = plan.candidates[candidate]
  if mode == 'peek' then return reply('taken', limits, candidate, '', closed) end

  local decided_at = ask.decided_at or now_text
  local reserved = hold or is_open(limits)
  -- Of a call to a provider its caller will say how it went.
  local told = run ~= nil or (chosen ~= nil and #chosen.gates > 0)
  local kept = reserved or decision.request ~= '' or owe or ask.shared ~= nil or told
  if kept and live_records(KEYS[3], now) >= max_records and not owe then return 'full ' .. now_text end
  if reserved then check_open(KEYS[2]) end
  local state = reserved and 'reserved' or 'consumed'
  local json = charges_json(limits, ask.shared)
  local receipt = kept and record_json(decision, limits, {
    state = state, candidate = chosen, closed = closed, request_key = decision.request, run_key = decision.run, ask = ask,
    decided_at = decided_at, held = hold and json or nil,
  })
  if not hold then
    local extra = owe and decision.model .. ',"degraded":true' or nil
    append(event_json(decision, state, json, GRANTED, decided_at, now_text, chosen, extra))
  end
  if kept then keep(state, receipt, decision.record, decision.request) end
  for _, probe in ipairs(probes) do close_gate(probe.key, now + probe.ms, probe.ms, now) end
  if run then
    run.attempts = run.attempts + 1
    write_run(decision.run, run)
  end
  for i = 1, #limits do
    local limit = limits[i]
    local rule = limit.rule
    -- A window that an estimate of nothing is corrected in must be in the period that it was made in.
    if (limit.cost > 0 or (rule.settles and rule.kind == 'w')) and not limit.over then
      write_counter(limit.key, limit.field, limit.state, forgotten_at(rule, limit.reset, now), limit.digits)
    end
  end
  return reply('taken', limits, candidate, hold and receipt or '', closed)
end

-- The record of a grant that this decision repeats: of its request id, or of itself if it is owed.
local function granted_before(decision)
  local record = owe and stored_record(decision.record) or nil
  if record or decision.request == '' then return record end
  return stored_record(redis.call('GET', decision.request))
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
  if decision.gate ~= '' and closed_until(decision.gate, now) then
    if mode == 'take' and not ask.quiet then append_denial(decision, 'revoked_key') end
    return 'closed ' .. now_text
  end
  local granted = granted_before(decision)
  if granted then
    if granted.fingerprint ~= ask.fingerprint then return 'conflict' end
    return { 'replayed', cjson.encode(granted) }
  end
  local plan, own = plan_of(ARGV[argument]), ARGV[argument + 1]
  if plan.adds then return add(plan.adds, own, decision) end
  return take(plan, own, ask, decision)
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
  local event = ARGV[argument + 2]
  local id = find(event, '"decision_id":"', 1, true) + 15
  decision.event, decision.id, decision.model = event, sub(event, id, find(event, '"', id, true) - 1), ask.model
  decision.first = key
  key = key + ask.keys + 1
  decision.record = KEYS[key]
  decision.request = next_key(ask.idempotent)
  decision.gate = next_key(ask.gated)
  decision.lost = next_key(ask.lost)
  decision.run = next_key(ask.attempts)
  local ok, result = pcall(answer, ask, decision, argument)
  if not ok then
    result = result == STALE and 'stale_windows ' .. now_text
      or { 'error', type(result) == 'table' and (result.err or 'error') or tostring(result) }
  end
  replies[#replies + 1] = result
end
flush_counters(now)
flush_record_count()
if ARGV[5] ~= '' then
  for i, each in ipairs(replies) do taken[i] = find(type(each) == 'table' and each[1] or each, '^[ta][ad][kd]e[nd] ') and '1' or '0' end
  redis.call('SET', KEYS[#KEYS], ARGV[5] .. ':' .. concat(taken), 'PX', text(RECORD_TTL_MS))
end
return replies
