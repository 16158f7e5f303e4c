-- What may be done with sessions on Redis, each call as one script, so that it is one step for everybody.
-- src/sessions/changes.ts says what becomes of a session; the conformance suite holds this file to the same.
--
-- KEYS[1]: what all keys begin with. It has a hash tag, so that a Cluster keeps all of them at one node.
-- ARGV: the call, the epoch that the caller knows, then what the call is given, as text; '' stands for null.
--
-- <base>:epoch      drawn when the store was empty; another one, or none: what was here is gone
-- <base>:settling   is there for a moment after that: nodes write down what they remember, and nothing is known to be gone
-- <base>:s:<id>     the session, a hash with the fields below
-- <base>:living     ids of sessions that have not ended; as in all sorted sets of ids the order is that of the ids
-- <base>:online     those of them with a socket
-- <base>:rooms      those of them that are members of a room
-- <base>:user:<id>  those of one user
-- <base>:node:<id>  those that a node holds, or held last
-- <base>:expiry     sessions by the steady time at which they are over
-- <base>:forget     ended sessions by the wall time at which they may be forgotten

local base, call, epoch = KEYS[1], ARGV[1], ARGV[2]

-- `allowed`: the rooms that the binding allows, '' for all.
local FIELDS = {
  'id', 'userId', 'nodeId', 'createdAt', 'connectedAt', 'lastSeenAt', 'presence', 'presenceAt', 'chosenPresence',
  'rooms', 'binding', 'awayBy', 'expiresBy', 'endedAt', 'allowed',
}

local function key(name) return base .. ':' .. name end

if call == 'begin' then
  local settleMs = ARGV[3]
  if redis.call('SET', key('epoch'), epoch, 'NX') and settleMs ~= '0' then
    redis.call('SET', key('settling'), '1', 'PX', settleMs)
  end
  return redis.call('GET', key('epoch'))
end
if redis.call('GET', key('epoch')) ~= epoch then return redis.error_reply('EPOCH what was stored is gone') end

local function read(id)
  local flat = redis.call('HGETALL', key('s:' .. id))
  if #flat == 0 then return nil end
  local session = {}
  for i = 1, #flat, 2 do session[flat[i]] = flat[i + 1] end
  return session
end

local function living(id)
  local session = read(id)
  if session and session.endedAt == '' then return session end
  return nil
end

-- What is answered where there is no such session.
local function nothing()
  if redis.call('EXISTS', key('settling')) == 1 then return redis.error_reply('SETTLING nodes write down their sessions') end
  return false
end

local function copyOf(session)
  local copy = {}
  for name, value in pairs(session) do copy[name] = value end
  return copy
end

-- As a list in the order of FIELDS; false (nil to the client) for none.
local function shown(session)
  if not session then return false end
  local values = {}
  for place, name in ipairs(FIELDS) do values[place] = session[name] end
  return values
end

-- The same of one that is stored, without taking it apart.
local function show(id)
  local values = redis.call('HMGET', key('s:' .. id), unpack(FIELDS))
  return values[1] and values
end

local function showAll(ids)
  local found = {}
  for _, id in ipairs(ids) do found[#found + 1] = show(id) or nil end
  return found
end

-- The sorted sets that a session stands in, each with its score.
local function placesOf(session)
  local places = {}
  if not session then return places end
  if session.endedAt ~= '' then
    places[key('forget')] = session.forgetAt
    return places
  end
  places[key('living')] = '0'
  places[key('user:' .. session.userId)] = '0'
  places[key('node:' .. session.nodeId)] = '0'
  if session.connectedAt ~= '' then places[key('online')] = '0' end
  if session.rooms ~= '[]' then places[key('rooms')] = '0' end
  if session.expiresBy ~= '' then places[key('expiry')] = session.expiresBy end
  return places
end

local function place(id, before, after)
  local was, is = placesOf(before), placesOf(after)
  for name in pairs(was) do
    if is[name] == nil then redis.call('ZREM', name, id) end
  end
  for name, score in pairs(is) do
    if was[name] ~= score then redis.call('ZADD', name, score, id) end
  end
end

-- What it was (nil: nothing) becomes what it is.
local function store(before, after)
  local changed = {}
  for name, value in pairs(after) do
    if not before or before[name] ~= value then
      changed[#changed + 1] = name
      changed[#changed + 1] = value
    end
  end
  if #changed > 0 then redis.call('HSET', key('s:' .. after.id), unpack(changed)) end
  place(after.id, before, after)
  return after
end

local function remove(id)
  local session = read(id)
  redis.call('DEL', key('s:' .. id))
  if session then place(id, session, nil) end
  -- Where the hash is gone and its places are not, somebody else had a hand in it.
  for _, name in ipairs({ 'living', 'online', 'rooms', 'expiry', 'forget' }) do redis.call('ZREM', key(name), id) end
end

-- Dates a presence only when it really becomes another one.
local function see(session, presence, at)
  if session.presence == presence then return end
  session.presence, session.presenceAt = presence, at
end

local function allows(allowed, room)
  if allowed == '' then return true end
  for _, one in ipairs(cjson.decode(allowed)) do
    if one == room then return true end
    if one:sub(-1) == '*' and room:sub(1, #one - 1) == one:sub(1, -2) then return true end
  end
  return false
end

-- The text of a list of rooms; cjson would write an empty one as an object.
local function listOf(rooms)
  if #rooms == 0 then return '[]' end
  return cjson.encode(rooms)
end

local function holds(rooms, room)
  for _, one in ipairs(rooms) do
    if one == room then return true end
  end
  return false
end

local calls = {}

function calls.create(...)
  local session = { forgetAt = '' }
  for index, value in ipairs({ ... }) do session[FIELDS[index]] = value end
  store(read(session.id), session)
  return true
end

function calls.find(id) return show(id) or nothing() end

function calls.findOwn(userId, id)
  if redis.call('HGET', key('s:' .. id), 'userId') ~= userId then return nothing() end
  return show(id)
end

function calls.count() return { redis.call('ZCARD', key('living')), redis.call('ZCARD', key('online')) } end

-- Newest first: of one user or, with '', of all; older than `before` unless that is ''.
function calls.page(userId, before, limit)
  local from = before == '' and '+' or '(' .. before
  local ids = userId == '' and 'living' or 'user:' .. userId
  return showAll(redis.call('ZREVRANGEBYLEX', key(ids), from, '-', 'LIMIT', 0, limit))
end

function calls.inRooms(after, limit)
  local from = after == '' and '-' or '(' .. after
  return showAll(redis.call('ZRANGEBYLEX', key('rooms'), from, '+', 'LIMIT', 0, limit))
end

-- `bound`: '1' when `binding` and `allowed` take the place of the old ones.
function calls.connected(id, nodeId, at, bound, binding, allowed)
  local session = living(id)
  if not session then return nothing() end
  local after = copyOf(session)
  if bound == '1' then after.binding, after.allowed = binding, allowed end
  see(after, session.chosenPresence, at)
  after.nodeId, after.connectedAt, after.lastSeenAt, after.awayBy, after.expiresBy = nodeId, at, at, '', ''
  local rooms = {}
  for _, room in ipairs(cjson.decode(session.rooms)) do
    if allows(after.allowed, room) then rooms[#rooms + 1] = room end
  end
  after.rooms = listOf(rooms)
  return shown(store(session, after))
end

function calls.away(id, nodeId, awayBy, expiresBy, at)
  local session = living(id)
  if not session or session.connectedAt == '' or session.nodeId ~= nodeId then return false end
  local after = copyOf(session)
  see(after, 'away', at)
  after.connectedAt, after.lastSeenAt, after.awayBy, after.expiresBy = '', at, awayBy, expiresBy
  return shown(store(session, after))
end

-- Three values for each use.
function calls.touch(...)
  local given = { ... }
  for i = 1, #given, 3 do
    local id, at, expiresBy = given[i], given[i + 1], given[i + 2]
    local was = redis.call('HMGET', key('s:' .. id), 'endedAt', 'expiresBy')
    if was[1] == '' then
      if was[2] == '' then
        redis.call('HSET', key('s:' .. id), 'lastSeenAt', at)
      else
        redis.call('HSET', key('s:' .. id), 'lastSeenAt', at, 'expiresBy', expiresBy)
        redis.call('ZADD', key('expiry'), expiresBy, id)
      end
    end
  end
  return true
end

function calls.choose(id, presence, at)
  local session = living(id)
  if not session then return false end
  local after = copyOf(session)
  if session.connectedAt ~= '' then see(after, presence, at) end
  after.chosenPresence = presence
  return shown(store(session, after))
end

function calls.enter(id, room, most)
  local session = living(id)
  if not session then return false end
  if not allows(session.allowed, room) then return 'forbidden' end
  local rooms = cjson.decode(session.rooms)
  if holds(rooms, room) then return shown(session) end
  if #rooms >= tonumber(most) then return 'full' end
  local after = copyOf(session)
  rooms[#rooms + 1] = room
  after.rooms = listOf(rooms)
  return shown(store(session, after))
end

function calls.leave(id, room)
  local session = living(id)
  if not session then return false end
  local rooms = {}
  local was = cjson.decode(session.rooms)
  for _, one in ipairs(was) do
    if one ~= room then rooms[#rooms + 1] = one end
  end
  if #rooms == #was then return false end
  local after = copyOf(session)
  after.rooms = listOf(rooms)
  return shown(store(session, after))
end

-- 1 when it lived until now.
calls['end'] = function(id, at, forgetAt)
  local session = living(id)
  if not session then return 0 end
  local after = copyOf(session)
  after.endedAt, after.forgetAt, after.connectedAt, after.expiresBy = at, forgetAt, '', ''
  after.presence, after.presenceAt = 'offline', at
  store(session, after)
  return 1
end

function calls.sweep(steadyMs, wallMs, limit)
  local over = redis.call('ZRANGEBYSCORE', key('expiry'), '-inf', steadyMs, 'LIMIT', 0, limit)
  local left = tonumber(limit) - #over
  if left > 0 then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('forget'), '-inf', wallMs, 'LIMIT', 0, left)) do
      over[#over + 1] = id
    end
  end
  for _, id in ipairs(over) do remove(id) end
  return over
end

-- The sessions of a node behind `after`; gives the last one looked at, until there are no more.
function calls.recover(nodeId, awayBy, expiresBy, at, after, limit)
  local from = after == '' and '-' or '(' .. after
  local ids = redis.call('ZRANGEBYLEX', key('node:' .. nodeId), from, '+', 'LIMIT', 0, limit)
  for _, id in ipairs(ids) do
    local session = living(id)
    if session then
      local next = copyOf(session)
      if session.connectedAt ~= '' then see(next, 'away', at) end
      next.connectedAt, next.awayBy, next.expiresBy = '', awayBy, expiresBy
      store(session, next)
    end
  end
  return ids[#ids] or false
end

-- A session as its node remembers it, after the store was out of reach. One that ended stays ended, and one that has sat
-- down elsewhere since is the other node's. `revived`: '1' when one that is gone may come back. Gives the session as it
-- stands then.
function calls.restore(revived, ...)
  local mine = { forgetAt = '' }
  for index, value in ipairs({ ... }) do mine[FIELDS[index]] = value end
  local session = read(mine.id)
  if not session then
    if revived ~= '1' then return false end
    return shown(store(nil, mine))
  end
  if session.endedAt ~= '' then return shown(session) end
  if session.nodeId ~= mine.nodeId then
    local theirs = tonumber(session.connectedAt ~= '' and session.connectedAt or session.lastSeenAt)
    if theirs >= (tonumber(mine.connectedAt) or 0) then return shown(session) end
  end
  return shown(store(session, mine))
end

return calls[call](unpack(ARGV, 3))
