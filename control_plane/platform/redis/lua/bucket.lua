-- A bucket of attempts: the time at which it will be full again (generic cell rate algorithm). Beside it stand the attempts that are under
-- way and not yet known to have failed, each with the time after which it counts as given up.
--
-- KEYS[1]  the bucket
-- KEYS[2]  the attempts under way
-- ARGV     'take': spends one; 'open': begins an attempt; 'failed', 'over': ends one, with or without spending
--          now in ms; gap in ms; burst; the attempt's id; how long it may be under way, in ms; most under way at a time
-- Returns  { 'ok', 'refused' or 'busy'; attempts left; ms until there is another }

local action, now, gap, burst = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local left = math.floor(burst - (due - now) / gap)

local function spend()
  due = due + gap
  redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', string.format('%.0f', due - now))
end

if action == 'over' or action == 'failed' then
  redis.call('ZREM', KEYS[2], ARGV[5])
  if action == 'failed' then spend() end
  return { 'ok', math.max(left - 1, 0), 0 }
end
if left < 1 then return { 'refused', 0, math.ceil(due - now - gap * (burst - 1)) } end
if action == 'take' then
  spend()
  return { 'ok', left - 1, 0 }
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= math.min(left, tonumber(ARGV[7])) then return { 'busy', left, 0 } end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[6]), ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return { 'ok', left, 0 }
