-- Returns a room's placement, or places it: two replicas that ask at once get the same answer.
--
-- KEYS[1]  prefix of the placement keys
-- ARGV     room, now, horizon (a lease that ended before it is void), lease end, joining session ('' for none),
--          node ('' only looks), instance, expected load of that node (-1: whatever it is)
-- Returns  { status, room's node, instance, address, epoch, lease end }: status "held" (it had one), "placed" (new), "none" (it has
--          none and no node was given), "raced" (the node is not as the caller saw it: look again). With "none", epoch is the last.

local prefix = KEYS[1]
local room, now, horizon, lease_end, session = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local node, instance, expected_load = ARGV[6], ARGV[7], tonumber(ARGV[8])
local lease = prefix .. 'lease:' .. room

local function serves(name, process)
  local f = redis.call('HMGET', prefix .. 'node:' .. name, 'state', 'instance')
  return (f[1] == 'active' or f[1] == 'draining') and f[2] == process
end

local function pend(name)
  if session ~= '' then redis.call('ZADD', prefix .. 'pending:' .. name, now, session) end
end

local held = redis.call('HMGET', lease, 'node', 'instance', 'address', 'epoch', 'released')
local ends = redis.call('ZSCORE', prefix .. 'leases', room)
if held[1] and not held[5] and ends and tonumber(ends) >= tonumber(horizon) and serves(held[1], held[2]) then
  pend(held[1])
  return { 'held', held[1], held[2], held[3], held[4], ends }
end
if node == '' then return { 'none', '', '', '', held[4] or '0', '0' } end

local f = redis.call('HMGET', prefix .. 'node:' .. node, 'state', 'instance', 'address', 'sessions')
local load = tonumber(f[4] or '0') + redis.call('ZCARD', prefix .. 'pending:' .. node)
if f[1] ~= 'active' or f[2] ~= instance or (expected_load >= 0 and load ~= expected_load) then return { 'raced', '', '', '', '0', '0' } end

-- Time is in the epoch so that epochs go on growing even if Redis has lost its data.
local epoch = math.max(tonumber(redis.call('GET', prefix .. 'epoch') or '0') + 1, tonumber(now), tonumber(held[4] or '0') + 1)
local text = string.format('%.0f', epoch)
redis.call('SET', prefix .. 'epoch', text)
if held[1] then redis.call('SREM', prefix .. 'rooms:' .. held[1], room) end
redis.call('DEL', lease)
redis.call('HSET', lease, 'node', node, 'instance', instance, 'address', f[3], 'epoch', text)
redis.call('ZADD', prefix .. 'leases', lease_end, room)
redis.call('SADD', prefix .. 'rooms:' .. node, room)
pend(node)
return { 'placed', node, instance, f[3], text, lease_end }
