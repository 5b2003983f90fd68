-- How many records there are, in a hash: `live`, and how many were written in each ten minutes. Records live for 24 hours, so
-- those of a ten-minute span are surely gone 145 spans later; `from` is the first span that `live` still counts.
local SPAN_MS = 600000
local SPANS = 145
local kept = nil

-- Reads the count once per call. Raises a string if the key holds something else: to be asked before the first write.
local function live_records(key, now)
  if kept then return kept.live + kept.added end
  local stored = redis.pcall('HMGET', key, 'live', 'from')
  if stored.err then error(stored.err, 0) end
  local span = floor(now / SPAN_MS)
  kept = { key = key, live = tonumber(stored[1] or '0'), from = tonumber(stored[2] or text(span)), added = 0, gone = {} }
  local first = span - SPANS + 1
  if first - kept.from > 2 * SPANS then
    kept.live, kept.empty = 0, true
  else
    for old = kept.from, first - 1 do
      kept.live = kept.live - tonumber(redis.call('HGET', key, text(old)) or '0')
      kept.gone[#kept.gone + 1] = text(old)
    end
  end
  kept.from = max(kept.from, first)
  kept.span = max(kept.from, span)
  return kept.live
end

local function count_record(key, now)
  live_records(key, now)
  kept.added = kept.added + 1
end

local function flush_record_count()
  if not kept or kept.added == 0 then return end
  if kept.empty then redis.call('DEL', kept.key) end
  redis.call('HSET', kept.key, 'live', text(kept.live + kept.added), 'from', text(kept.from))
  redis.call('HINCRBY', kept.key, text(kept.span), kept.added)
  redis.call('PEXPIRE', kept.key, text(2 * RECORD_TTL_MS))
  if #kept.gone > 0 then redis.call('HDEL', kept.key, unpack(kept.gone)) end
end
