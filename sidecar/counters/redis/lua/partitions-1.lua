#!lua
-- Says how many partitions the keys are spread over, and writes it down the first time.
--
-- KEYS[1]  the number of partitions
-- ARGV[1]  how many there are to be
--
-- Returns how many there are.

redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
