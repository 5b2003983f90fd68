-- wrk's script: asks the question of the file that is named by its first argument, and prints what came of it as JSON.
-- Where the question says what is granted, every answer is looked at whole, which costs wrk about as much as asking.

local question
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  question = dofile(args[1])
  math.randomseed(question.seed)
  count = 0
  wrong = 0
  example = ''
  if not question.granted then response = nil end
  if not question.pause then delay = nil end
end

local function first_caller()
  if question.order == 'uniform' then return math.random(0, question.callers - 1) end
  if question.order == 'zipf' then return math.floor(question.callers ^ math.random()) - 1 end
  return count * question.decisions
end

function request()
  local first = first_caller()
  local parts = {}
  for index, text in ipairs(question.texts) do
    local offset = question.offsets[index]
    parts[2 * index - 1] = text
    if offset == 'new' then
      parts[2 * index] = string.format('%07d', 1000000 + (question.seed + count) % 9000000)
    elseif offset then
      parts[2 * index] = string.format('%07d', (first + offset) % question.callers)
    end
  end
  count = count + 1
  return table.concat(parts)
end

function delay()
  return question.pause
end

function response(status, _, body)
  local found, from = 0, 1
  while true do
    local _, last = string.find(body, question.granted, from, true)
    if not last then break end
    found, from = found + 1, last + 1
  end
  if status == 200 and found == question.decisions then return end
  wrong = wrong + 1
  example = status .. ' ' .. string.sub(body, 1, 300)
end

local function quoted(text)
  return '"' .. string.gsub(text, '[%c"\\]', function(c) return string.format('\\u%04x', string.byte(c)) end) .. '"'
end

function done(summary, latency)
  local all, seen = 0, ''
  for _, thread in ipairs(threads) do
    all = all + thread:get('wrong')
    if thread:get('example') ~= '' then seen = thread:get('example') end
  end
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"microseconds":%d,"bytes":%d,"p50":%d,"p99":%d,"max":%d,"wrong":%d,"example":%s,' ..
      '"failed":%d,"timeouts":%d,"statuses":%d}',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99), latency.max,
    all, quoted(seen), errors.connect + errors.read + errors.write, errors.timeout, errors.status
  ))
end
