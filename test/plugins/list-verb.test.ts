import t from 'tap'
import { connectRaw, createRandom, errorsOf, parseAnswer, request, startFront } from './front.ts'

const list = 'LIST /v1/kv/metadata/a HTTP/1.1\r\nhost: h\r\n\r\n'
const get = 'GET /v1/kv/data/a HTTP/1.1\r\nhost: h\r\n\r\n'
const post = (body: string, extra = '') => `POST /v1/kv/data/a HTTP/1.1\r\nhost: h\r\n${extra}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
const ok = '"ok":true'

t.test('SEC-038 the verbs LIST, SCAN and HELP arrive as themselves', async (t) => {
  const front = await startFront(t)
  t.equal((await request(front, 'LIST /v1/kv/metadata/a')).status, 200)
  t.match(front.last(), { verb: 'list', path: 'kv/metadata/a', refusal: null })
  t.equal((await request(front, 'LIST /v1/kv/metadata/?list=true&after=b')).status, 200)
  t.match(front.last(), { verb: 'list', path: 'kv/metadata' })
  t.equal((await request(front, 'SCAN /v1/kv/metadata/?after=b')).status, 200)
  t.match(front.last(), { verb: 'scan', path: 'kv/metadata' })
  t.equal((await request(front, 'HELP /v1/sys/mounts')).status, 200)
  t.match(front.last(), { verb: 'help', path: 'sys/mounts' })
})

t.test('SEC-043 the stand-ins, and other verbs, sent by a client are 405 and never a list', async (t) => {
  const front = await startFront(t)
  for (const method of ['LINK', 'BIND', 'SEARCH', 'PROPFIND', 'TRACE', 'OPTIONS', 'QUERY', 'COPY']) {
    const answer = await request(front, `${method} /v1/kv/metadata/a`, ['x-secret: CNRY'])
    t.equal(answer.status, 405, method)
    t.equal(answer.body, '{"errors":[]}')
    t.equal(front.last().verb, 'read')
    t.equal(front.last().refusal?.code, 'unsupported_operation')
  }
})

t.test('SEC-043 LIST split at any byte is a list; SCAN and HELP split within their verbs are refused', async (t) => {
  const front = await startFront(t)
  const connection = await connectRaw(front)
  for (let at = 1; at < list.length; at++) {
    await connection.deliver(list.slice(0, at))
    connection.send(list.slice(at))
    await connection.until(ok, at)
  }
  t.equal(front.seen.length, list.length - 1)
  t.ok(front.seen.every(({ verb, path, refusal }) => verb === 'list' && path === 'kv/metadata/a' && refusal === null))
  connection.socket.destroy()
  for (const verb of ['HELP', 'SCAN']) {
    const split = await connectRaw(front)
    await split.deliver(verb.slice(0, 2))
    split.send(`${verb.slice(2)} /v1/a HTTP/1.1\r\nhost: h\r\n\r\n`)
    t.equal(parseAnswer(await split.closed()).status, 400)
  }
})

t.test('SEC-043 a verb that only begins like LIST is refused, whatever follows', async (t) => {
  const front = await startFront(t)
  for (const [first, rest] of [['LIS', 'K /v1/a'], ['LIST', 'X /v1/a'], ['LIS', 'TX /v1/a'], ['LISTX', ' /v1/a'], ['LI', 'ST/v1/a'], ['LIS', 'T\t/v1/a'], ['L', 'IST\n/v1/a']] as const) {
    const connection = await connectRaw(front)
    await connection.deliver(first)
    connection.send(`${rest} HTTP/1.1\r\nhost: h\r\n\r\n`)
    t.equal(parseAnswer(await connection.closed()).status, 400, first + rest)
  }
  t.equal(front.seen.length, 0)
  for (const [first, rest] of [['LI', 'NK /v1/a'], ['L', 'INK /v1/a'], ['LIN', 'K /v1/a']] as const) {
    const connection = await connectRaw(front)
    await connection.deliver(first)
    connection.send(`${rest} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n`)
    t.equal(parseAnswer(await connection.closed()).status, 405, first + rest)
  }
})

t.test('SEC-043 on one connection a list follows whatever was complete before it', async (t) => {
  const front = await startFront(t)
  const connection = await connectRaw(front)
  const before = [
    get, list, post('{"a":"LIST /v1/x HTTP/1.1\\r\\n\\r\\n"}'), post(''), post('{"a":1}\r\n\r\n'), post('{"a":1}\r\n'), 'HELP /v1/sys HTTP/1.1\r\nhost: h\r\n\r\n',
    'POST /v1/kv/data/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n0\r\n\r\n',
    `\r\n\r\n${post('{"a":1}')}`, 'LIST /v1/a HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nLIST ',
    'DELETE /v1/a HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}', '\r\n' + get
  ]
  let count = 0
  for (const bytes of before) {
    connection.send(bytes)
    await connection.until(ok, ++count)
    connection.send(list)
    await connection.until(ok, ++count)
    t.match(front.last(), { verb: 'list', path: 'kv/metadata/a', refusal: null }, JSON.stringify(bytes.slice(0, 40)))
  }
  t.equal(front.seen.length, count)
  connection.socket.destroy()
})

t.test('SEC-043 a list follows a request whose head and body came in pieces', async (t) => {
  const front = await startFront(t)
  const connection = await connectRaw(front)
  const bytes = post('{"a":"b"}')
  let count = 0
  for (let at = 1; at < bytes.length; at++) {
    await connection.deliver(bytes.slice(0, at))
    connection.send(bytes.slice(at))
    await connection.until(ok, ++count)
    connection.send(list)
    await connection.until(ok, ++count)
  }
  t.ok(front.seen.every(({ verb, refusal }, i) => verb === (i % 2 === 0 ? 'write' : 'list') && refusal === null))
  connection.socket.destroy()
})

t.test('SEC-043 bytes of a body are never changed', async (t) => {
  const front = await startFront(t, { limits: { bodyBytesMaxPublic: 4_000_000 } })
  const lines = 'LIST /v1/a HTTP/1.1\\r\\n\\r\\n'.repeat(40_000) + '\u00fc'
  const body = `{"a":"${lines}"}`
  t.equal((await request(front, 'POST /v1/kv/data/a', [], body)).status, 200)
  t.equal(front.last().bodyText, body)
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
  const connection = await connectRaw(front)
  connection.send('POST /v1/kv/data/a HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n')
  const pieces = ['{"a":"', 'LIST /v1/a', 'LIST ', 'LIST /v1/b', '"}']
  for (const piece of pieces) {
    await connection.deliver(chunk(piece).slice(0, piece.length.toString(16).length + 2))
    await connection.deliver(`${piece}\r\n`)
  }
  connection.send('0\r\n\r\n')
  t.equal(parseAnswer(await connection.closed()).status, 200)
  t.equal(front.last().bodyText, pieces.join(''))
})

t.test('SEC-043 a chunk of a head or body that begins with LIST stays as it is', async (t) => {
  const front = await startFront(t)
  const connection = await connectRaw(front)
  connection.send(`${get}GET /v1/kv/data/b HTTP/1.1\r\nhost: h\r\nx-vault-token: `)
  await connection.until(ok, 1)
  connection.send('LIST \r\n\r\n')
  await connection.until(ok, 2)
  t.match(front.last(), { verb: 'read', path: 'kv/data/b', clientToken: 'LIST' })
  await connection.deliver('POST /v1/kv/data/c HTTP/1.1\r\nhost: h\r\ncontent-length: 6\r\n\r\n')
  connection.send('LIST {')
  await connection.until('failed to decode')
  t.equal(front.last().path, 'kv/data/c')
  connection.socket.destroy()
})

t.test('SEC-043 SEC-306 a list that cannot be told apart closes the connection, after the answers that are owed', async (t) => {
  for (const [name, bytes, reached] of [
    ['pipelined after a GET', get + list, 1],
    ['pipelined after a POST with a body', post('{"a":1}') + list, 1],
    ['after a bad request', 'BAD\r\n\r\n' + list, 0],
    ['after Connection: close', get.replace('host: h', 'host: h\r\nconnection: close') + list, 1]
  ] as const) {
    const front = await startFront(t)
    const connection = await connectRaw(front)
    connection.send(bytes)
    const text = await connection.closed()
    t.equal(front.seen.length, reached, name)
    t.ok(front.seen.every(({ verb }) => verb !== 'list'), name)
    t.equal((text.match(/"ok":true/g) ?? []).length, reached, `${name}: the answer owed`)
    t.ok(text.indexOf('"ok":true') < text.indexOf('400 Bad') || !text.includes('400 Bad'), `${name}: in order`)
  }
})

t.test('pipelined requests in chunks of their own are all served in order', async (t) => {
  const front = await startFront(t)
  const connection = await connectRaw(front)
  for (let i = 0; i < 20; i++) {
    await connection.deliver(i % 2 === 0 ? get : list)
  }
  await connection.until(ok, 20)
  t.ok(front.seen.every(({ verb }, i) => verb === (i % 2 === 0 ? 'read' : 'list')))
  connection.socket.destroy()
})

t.test('SEC-042 random cuts and mixes never change a body, invent a list, or lose the order', async (t) => {
  const random = createRandom(43)
  const front = await startFront(t)
  for (let round = 0; round < 150; round++) {
    const expected: string[] = []
    let bytes = ''
    for (let n = 1 + Math.floor(random() * 4); n > 0; n--) {
      const kind = Math.floor(random() * 4)
      if (kind === 0) expected.push('read')
      if (kind === 1) expected.push('list')
      if (kind > 1) expected.push('write')
      bytes += [get, list, post('{"a":"LIST /v1/x"}'), 'PUT /v1/kv/data/a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n12\r\n{"a":"LIST /v1/x"}\r\n0\r\n\r\n'][kind]
    }
    front.seen.length = 0
    const connection = await connectRaw(front)
    for (let at = 0; at < bytes.length;) {
      const next = at + 1 + Math.floor(random() * (random() < 0.5 ? 6 : 200))
      if (random() < 0.5) await connection.deliver(bytes.slice(at, next))
      else connection.send(bytes.slice(at, next))
      at = next
    }
    connection.socket.end()
    await connection.closed()
    const verbs = front.seen.map(({ verb }) => verb)
    if (verbs.join() !== expected.slice(0, verbs.length).join()) t.fail(`${verbs.join()} where ${expected.join()} was sent`)
    if (!front.seen.every(({ verb, bodyText }) => verb !== 'write' || bodyText === '{"a":"LIST /v1/x"}')) t.fail('a body was changed')
  }
  t.pass('150 mixes')
})

t.test('SEC-306 pipelined requests are begun one at a time, and stay what they are while they wait', async (t) => {
  let running = 0
  const front = await startFront(t, {
    async answer ({ path }) {
      if (++running > 1) t.fail('two at once')
      await new Promise((resolve) => setImmediate(resolve))
      running--
      return { kind: 'body', json: JSON.stringify({ ok: true, path }) }
    }
  })
  const connection = await connectRaw(front)
  const sent = [post('{"a":1}'), list, get, list, post('{"a":2}'), list].map((text, i) => text.replace('/a HTTP', `/${i} HTTP`))
  for (const bytes of sent) await connection.deliver(bytes)
  const text = await connection.until(ok, sent.length)
  t.strictSame(front.seen.map(({ verb }) => verb), ['write', 'list', 'read', 'list', 'write', 'list'])
  t.strictSame([...text.matchAll(/"path":"[a-z/]*(\d)"/g)].map(([, at]) => at), ['0', '1', '2', '3', '4', '5'])
  connection.socket.destroy()
})

t.test('an error answer of a list is like any other', async (t) => {
  const front = await startFront(t)
  t.strictSame(errorsOf(await request(front, 'LIST /v1/kv/../a')), ['relative paths not supported'])
})
