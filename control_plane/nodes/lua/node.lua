-- Writes what is known of a node, renews the leases of the rooms that it holds, and finds those that are not its own.
--
-- KEYS[1]  prefix of the placement keys
-- ARGV[1]  JSON: { node, state, instance, opened (as the caller read them; '' when unknown), fields: {..}, now, lease_end,
--          rooms: [[room, epoch]] or nil, move: instance that keeps its rooms (nil: move none), covered, pending_since }
-- Returns  { status, room, epoch, room, epoch, ... }: status "ok" or "raced"; the rooms are to be fenced.

local prefix = KEYS[1]
local c = cjson.decode(ARGV[1])
local node = prefix .. 'node:' .. c.node
local is = redis.call('HMGET', node, 'state', 'instance', 'sessions_opened')
if (is[1] or '') ~= c.state or (is[2] or '') ~= c.instance or (is[3] or '') ~= c.opened then return { 'raced' } end

redis.call('SADD', prefix .. 'nodes', c.node)
for name, value in pairs(c.fields) do redis.call('HSET', node, name, value) end
local instance = redis.call('HGET', node, 'instance')

-- A join that no report covered for so long never became a session.
local pending = prefix .. 'pending:' .. c.node
redis.call('ZREMRANGEBYSCORE', pending, '-inf', c.pending_since)
if c.covered > 0 then redis.call('ZPOPMIN', pending, c.covered) end

if c.move then
  for _, room in ipairs(redis.call('SMEMBERS', prefix .. 'rooms:' .. c.node)) do
    if redis.call('HGET', prefix .. 'lease:' .. room, 'instance') ~= c.move then
      redis.call('ZADD', prefix .. 'leases', 'XX', '-1', room)
    end
  end
end

local function bump(epoch)
  if tonumber(redis.call('GET', prefix .. 'epoch') or '0') < tonumber(epoch) then redis.call('SET', prefix .. 'epoch', epoch) end
end

local answer = { 'ok' }
for _, r in ipairs(c.rooms or {}) do
  local room, epoch = r[1], r[2]
  local lease = prefix .. 'lease:' .. room
  local held = redis.call('HMGET', lease, 'node', 'instance', 'epoch', 'released', 'void')
  if not held[1] then
    -- Nothing is known of the room, since Redis lost its data: the node's word counts.
    redis.call('HSET', lease, 'node', c.node, 'instance', instance, 'address', redis.call('HGET', node, 'address'), 'epoch', epoch)
    redis.call('SADD', prefix .. 'rooms:' .. c.node, room)
    redis.call('ZADD', prefix .. 'leases', c.lease_end, room)
    bump(epoch)
  elseif held[4] then
    table.insert(answer, room)
    table.insert(answer, string.format('%.0f', tonumber(held[3]) + 1))
  elseif held[1] ~= c.node then
    table.insert(answer, room)
    table.insert(answer, held[3])
  elseif held[2] == instance and held[3] == epoch and not held[5] then
    -- A report made before the node lost the room must not renew what has been declared void since.
    redis.call('ZADD', prefix .. 'leases', 'XX', c.lease_end, room)
  end
end
return answer
