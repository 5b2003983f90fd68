-- The store's clock in epoch milliseconds: the one clock of all counters, whatever the sidecars' clocks say.
local function store_time()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
