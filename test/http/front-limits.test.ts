import net from 'node:net'
import t from 'tap'
import { connectRaw, parseAnswer, request, sendRaw, startFront, type Front, type RawConnection } from '../plugins/front.ts'

const get = 'GET /v1/a HTTP/1.1\r\nhost: h\r\n\r\n'

async function until (condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 8000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(what)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

t.test('SEC-287 headers, bodies and silence that take too long are cut off, and others are served meanwhile', async (t) => {
  const limits = { headersTimeoutMs: 400, requestTimeoutMs: 600, timeoutCheckMs: 50, connectionsPerSourceMax: 500 }
  const front = await startFront(t, { limits })
  const slow: RawConnection[] = []
  const timers: NodeJS.Timeout[] = []
  for (let i = 0; i < 60; i++) slow.push(await connectRaw(front))
  for (const [i, connection] of slow.entries()) {
    if (i % 3 === 0) continue
    connection.send(i % 3 === 1 ? 'GET /v1/a HTTP/1.1\r\nx: ' : 'POST /v1/a HTTP/1.1\r\nhost: h\r\ncontent-length: 500\r\n\r\n')
    timers.push(setInterval(() => { if (connection.socket.writable) connection.send('a') }, 40))
  }
  const from = performance.now()
  let served = 0
  const closing = Promise.all(slow.map((connection) => connection.closed()))
  while (performance.now() - from < 300) {
    t.equal((await request(front, 'GET /v1/a')).status, 200)
    served++
  }
  const texts = await closing
  for (const timer of timers) clearInterval(timer)
  t.ok(served > 3)
  t.ok(performance.now() - from < 600 + 600, `all gone after ${Math.round(performance.now() - from)} ms`)
  for (const text of texts) t.match(text, /^HTTP\/1.1 408 [^]*connection: close[^]*\{"errors":\[\]\}$/)
  t.equal(front.refusals.get('timeout')?.count, 60)
  t.equal(front.seen.filter(({ verb }) => verb === 'write').length, 0)
})

t.test('SEC-288 a client that does not read its answer is cut off', async (t) => {
  const json = `{"a":"${'x'.repeat(20_000_000)}"}`
  const front = await startFront(t, { limits: { writeStallMs: 200 }, answer: async () => ({ kind: 'body', json }) })
  const socket = net.connect({ port: front.port, host: '127.0.0.1' })
  t.teardown(() => { socket.destroy() })
  socket.on('error', () => {})
  socket.pause()
  socket.write(get)
  await until(() => front.refusals.get('unread_answer')?.count === 1, 'the reader was not cut off')
  await until(() => front.openConnections() === 0, 'the connection is still open')
  const reader = await request(front, 'GET /v1/a')
  t.equal(reader.body.length, json.length, 'one that reads gets it all')
})

t.test('SEC-290 too many header bytes are 431', async (t) => {
  const front = await startFront(t)
  const head = (lines: string) => `GET /v1/a HTTP/1.1\r\nhost: h\r\n${lines}\r\n\r\n`
  t.equal((await sendRaw(front, head(`x: ${'a'.repeat(20_000)}`))).status, 431)
  t.equal((await sendRaw(front, head(Array.from({ length: 2001 }, (_, i) => `x-${i}: abc`).join('\r\n')))).status, 431)
  t.equal((await sendRaw(front, head(`${'x'.repeat(17_000)}: 1`))).status, 431)
  t.equal((await sendRaw(front, `GET /v1/${'a'.repeat(20_000)} HTTP/1.1\r\nhost: h\r\n\r\n`)).status, 431)
  t.equal(front.refusals.get('headers_too_large')?.count, 4)
  t.equal(front.refusals.get('headers_too_large')?.lastAddress, '127.0.0.1')
  t.equal(front.seen.length, 0)
})

t.test('SEC-289 SEC-259 ambiguous framing is 400 and a closed connection, counted, never two answers', async (t) => {
  const front = await startFront(t)
  const heads: readonly string[] = [
    'content-length: 5\r\ntransfer-encoding: chunked', 'content-length: 5\r\ncontent-length: 6', 'transfer-encoding: xchunked', 'transfer-encoding: chunked, identity',
    'transfer-encoding: identity', 'x\r\n folded: 1', 'x : 1', 'x: a\0b', 'content-length: -1', 'content-length: 0x5', 'content-length: +5', 'content-length: 5 5', 'x: a\rb', ': 1', 'content-length: 99999999999999999999999'
  ]
  for (const [head, method] of heads.flatMap((head) => [[head, 'POST'], [head, 'GET'], [head, 'LIST']] as const)) {
    const connection = await connectRaw(front)
    connection.send(`${method} /v1/a HTTP/1.1\r\nhost: h\r\n${head}\r\n\r\n{"a":1}GET /v1/smuggled HTTP/1.1\r\nhost: h\r\n\r\n`)
    const text = await connection.closed()
    t.equal(parseAnswer(text).status, 400, JSON.stringify(head))
    t.equal(text.split('HTTP/1.1 ').length, 2, 'one answer')
  }
  for (const bytes of ['GET /v1/a HTTP/1.1\nhost: h\n\n', 'POST /v1/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'GET /v1/a b HTTP/1.1\r\n\r\n', '\x16\x03\x01\x02\x00\x01', 'FIND /v1/a HTTP/1.1\r\nhost: h\r\n\r\n']) {
    const connection = await connectRaw(front)
    connection.send(bytes)
    const text = await connection.closed()
    if (text !== '') t.equal(parseAnswer(text).status, 400, JSON.stringify(bytes))
  }
  t.equal(front.seen.filter(({ refusal }) => refusal === null).length, 0)
  t.ok((front.refusals.get('malformed')?.count ?? 0) >= heads.length)
})

t.test('SEC-289 trailers are read by nobody', async (t) => {
  const front = await startFront(t)
  const answer = await sendRaw(front, 'POST /v1/a HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n0\r\nX-Vault-Token: CNRY\r\n\r\n')
  t.equal(answer.status, 200)
  t.equal(front.last().clientToken, null)
})

t.test('SEC-291 versions, Host, Upgrade and Expect', async (t) => {
  const front = await startFront(t)
  const status = async (bytes: string) => parseAnswer(await (async () => {
    const connection = await connectRaw(front)
    connection.send(bytes)
    return connection.closed()
  })()).status
  const close = 'connection: close\r\n'
  t.equal(await status(`GET /v1/a HTTP/1.1\r\n${close}\r\n`), 400, 'no Host')
  t.equal(await status(`GET /v1/a HTTP/1.1\r\nhost: a\r\nhost: b\r\n${close}\r\n`), 400, 'two')
  t.equal(await status(`GET /v1/a HTTP/1.1\r\nhost: a\r\nhost: a\r\n${close}\r\n`), 400, 'the same twice')
  for (const host of ['a/b@c', 'user@h', 'h/x', 'h x', '', 'h:x', 'h:123456', '[::1', 'a,b', 'h\u00fc']) t.equal(await status(`GET /v1/a HTTP/1.1\r\nhost: ${host}\r\n${close}\r\n`), 400, host)
  for (const host of ['h', 'h:8200', '[::1]:8200', '127.0.0.1', 'a.b-c_d.example.']) t.equal(await status(`GET /v1/a HTTP/1.1\r\nhost: ${host}\r\n${close}\r\n`), 200, host)
  t.equal(await status('GET /v1/a\r\n\r\n'), 400, 'HTTP/0.9')
  t.equal(await status('GET /v1/a HTTP/1.0\r\n\r\n'), 200, 'HTTP/1.0 closes')
  t.equal(await status('GET /v1/a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n'), 200, 'HTTP/1.0 closes whatever it asks')
  t.equal(await status(`GET /v1/a HTTP/1.1\r\nhost: h\r\nupgrade: h2c\r\nconnection: upgrade, close\r\n\r\n`), 200, 'h2c is ignored')
  t.equal(await status(`GET /v1/a HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n`), 200, 'websocket is ignored')
  t.equal(await status(`POST /v1/a HTTP/1.1\r\nhost: h\r\nexpect: x\r\n${close}content-length: 2\r\n\r\n{}`), 417)
  const patient = await connectRaw(front)
  patient.send('POST /v1/a HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 7\r\n\r\n')
  await patient.until('100 Continue')
  patient.send('{"a":1}')
  await patient.until('"ok":true')
  patient.socket.destroy()
  const tunnel = await connectRaw(front)
  tunnel.send('CONNECT h:443 HTTP/1.1\r\nhost: h\r\n\r\n')
  t.notMatch(await tunnel.closed(), /200/)
})

t.test('a request after an ignored Upgrade is served on the same connection', async (t) => {
  const front = await startFront(t)
  const connection = await connectRaw(front)
  connection.send('GET /v1/a HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n')
  await connection.until('"ok":true')
  connection.send('LIST /v1/a HTTP/1.1\r\nhost: h\r\n\r\n')
  await connection.until('"ok":true', 2)
  t.equal(front.last().verb, 'list')
  connection.socket.destroy()
})

t.test('SEC-297 connections are bounded for each source and together', async (t) => {
  const front = await startFront(t, { limits: { connectionsMax: 12, connectionsPerSourceMax: 4 } })
  const hold = async (source: string): Promise<net.Socket> => {
    const socket = net.connect({ port: front.port, host: '127.0.0.1', localAddress: source })
    socket.on('error', () => {})
    await new Promise((resolve) => socket.once('connect', resolve))
    return socket
  }
  const flood: net.Socket[] = []
  for (let i = 0; i < 200; i++) flood.push(await hold('127.0.0.2'))
  await until(() => (front.refusals.get('too_many_from_source')?.count ?? 0) === 196, 'the flood was not cut')
  t.equal(front.openConnections(), 4)
  t.equal((await request(front, 'GET /v1/a')).status, 200, 'another source is served')
  await until(() => front.openConnections() === 4, 'the served one is gone')
  const others: net.Socket[] = []
  for (const source of ['127.0.0.3', '127.0.0.4']) for (let i = 0; i < 4; i++) others.push(await hold(source))
  await until(() => front.openConnections() === 12, 'all places are taken')
  const late = await hold('127.0.0.5')
  await until(() => front.refusals.get('too_many_connections')?.count === 1, 'the late one was not cut')
  for (const socket of [...flood, ...others, late]) socket.destroy()
  await until(() => front.openConnections() === 0, 'places are given back')
  t.equal((await request(front, 'GET /v1/a')).status, 200)
})

t.test('a trusted proxy may open more connections than one source', async (t) => {
  const front = await startFront(t, { limits: { connectionsPerSourceMax: 1 }, trustedProxies: ['127.0.0.1'] })
  const held = await connectRaw(front)
  t.equal((await request(front, 'GET /v1/a')).status, 200)
  held.socket.destroy()
})

t.test('SEC-372 stopping answers what is in flight, takes nothing new, and ends at the deadline', async (t) => {
  const { promise: go, resolve: letGo } = Promise.withResolvers<undefined>()
  const front: Front = await startFront(t, {
    async answer ({ path }) {
      if (path === 'slow') await go
      if (path === 'never') await new Promise(() => {})
      return { kind: 'body', json: '{"ok":true}' }
    }
  })
  const idle = await connectRaw(front)
  idle.send(get)
  await idle.until('"ok":true')
  const slow: RawConnection[] = []
  for (let i = 0; i < 40; i++) {
    const connection = await connectRaw(front)
    await connection.deliver('GET /v1/slow HTTP/1.1\r\nhost: h\r\n\r\n')
    slow.push(connection)
  }
  const never = await connectRaw(front)
  await never.deliver('GET /v1/never HTTP/1.1\r\nhost: h\r\n\r\n')
  await until(() => front.seen.length === 42, 'all are in flight')
  const from = performance.now()
  const stopped = front.stop(700)
  await idle.closed()
  t.ok(performance.now() - from < 500, 'an idle connection is closed at once')
  const refused = await new Promise((resolve) => net.connect({ port: front.port, host: '127.0.0.1' }).once('error', resolve))
  t.match(refused, { code: 'ECONNREFUSED' })
  letGo(undefined)
  for (const connection of slow) {
    const answer = parseAnswer(await connection.closed())
    t.equal(answer.status, 200)
    t.equal(answer.headers.get('connection'), 'close')
  }
  await stopped
  const ms = performance.now() - from
  t.ok(ms > 600 && ms < 2000, `the one that never ends is cut at the deadline (${Math.round(ms)} ms)`)
  t.equal(await never.closed(), '')
})

t.test('stopping twice, or with nothing open, is quick', async (t) => {
  const front = await startFront(t)
  const from = performance.now()
  await Promise.all([front.stop(5000), front.stop(5000)])
  t.ok(performance.now() - from < 1000)
})
