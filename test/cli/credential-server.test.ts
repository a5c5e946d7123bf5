import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import net, { type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { openCredentialServer } from '../../src/cli/credential-server.ts'
import { endIn, type Credentials } from '../../src/cli/credentials.ts'
import { testParts } from './rig.ts'

const authorization = 'x'.repeat(43)

async function open (t: Test, { listen = '127.0.0.1:0', lifeMs = 900_000 as number | null } = {}) {
  const { parts } = testParts()
  const credentials: Credentials | null = lifeMs === null
    ? null
    : { accessKeyId: 'ASIA1', secretAccessKey: 'CNRYsecret', sessionToken: 'CNRYtoken', leaseId: 'lease', lifeMs, end: endIn(lifeMs, parts) }
  let given = 0
  const server = await openCredentialServer({
    listen,
    authorization,
    parts,
    give: async () => {
      given++
      return credentials
    }
  })
  t.teardown(() => server.close())
  const { hostname, port } = new URL(server.url)
  return { url: server.url, host: hostname.replace(/[[\]]/g, ''), port: Number(port), given: () => given }
}

/** Sends bytes as they are, and answers all that comes back. */
async function raw ({ host, port }: { host: string, port: number }, lines: readonly string[]): Promise<string> {
  const socket = net.connect(port, host)
  let answer = ''
  socket.on('data', (chunk) => { answer += chunk.toString('utf8') })
  socket.on('error', () => {})
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  const timer = setTimeout(() => socket.destroy(), 20_000)
  // An answer that keeps the connection open ends where its length says.
  socket.on('data', () => {
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    const length = /content-length: (\d+)/i.exec(head)?.[1]
    if (length !== undefined && answer.includes('\r\n\r\n') && Buffer.byteLength(body) >= Number(length)) socket.end()
  })
  await once(socket, 'close')
  clearTimeout(timer)
  return answer
}

const statusOf = (answer: string) => Number(answer.split(' ')[1])
const bodyOf = (answer: string) => answer.split('\r\n\r\n')[1] ?? ''
const authorized = (...more: string[]) => [`Authorization: ${authorization}`, ...more]
const get = (host: string, ...more: string[]) => ['GET /credentials HTTP/1.1', `Host: ${host}`, ...more]

t.test('SEC-320 it listens on loopback only, and on no port that another has', async (t) => {
  const others = Object.values(networkInterfaces()).flatMap((list = []) => list).filter(({ internal }) => !internal).map(({ address, family }) => family === 'IPv6' ? `[${address}]` : address)
  for (const host of ['0.0.0.0', '[::]', '', '169.254.170.2', '169.254.1.1', '192.168.1.1', '127.0.0.2', 'localhost', '[::ffff:127.0.0.1]', '127.1', '0x7f.1', 'example.com', ...others]) {
    await t.rejects(open(t, { listen: `${host}:0` }), /listens on this machine only/, host)
  }
  for (const listen of ['127.0.0.1', '127.0.0.1:', '127.0.0.1:70000', '127.0.0.1:-1', '127.0.0.1:0x1']) await t.rejects(open(t, { listen }), /listens on this machine only/, listen)
  const taken = net.createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => { taken.close() })
  await t.rejects(open(t, { listen: `127.0.0.1:${(taken.address() as AddressInfo).port}` }), /cannot be listened on: EADDRINUSE/)
  const first = await open(t)
  await t.rejects(open(t, { listen: `127.0.0.1:${first.port}` }), /EADDRINUSE/, 'nor its own twice')
})

t.test('SEC-346 there is no unix-socket mode: a path to listen on is refused', async (t) => {
  for (const listen of ['unix:/run/latchkey.sock', '/run/latchkey.sock', './sock', 'pipe:x']) await t.rejects(open(t, { listen }), /listens on this machine only/)
})

t.test('SEC-330 the answer has exactly the fields of container credentials, and is not stored', async (t) => {
  const place = await open(t)
  t.equal(place.url, `http://127.0.0.1:${place.port}/credentials`)
  const answer = await raw(place, get(`127.0.0.1:${place.port}`, ...authorized()))
  t.equal(statusOf(answer), 200)
  t.match(answer, /^content-type: application\/json\r$/m)
  t.match(answer, /^cache-control: no-store\r$/m)
  t.strictSame(JSON.parse(bodyOf(answer)), { AccessKeyId: 'ASIA1', SecretAccessKey: 'CNRYsecret', Token: 'CNRYtoken', Expiration: '2026-01-01T00:15:00Z' })
})

t.test('SEC-327 where nothing lives long enough the answer is a fixed 503 that clients can show', async (t) => {
  const place = await open(t, { lifeMs: null })
  const answer = await raw(place, get(`127.0.0.1:${place.port}`, ...authorized()))
  t.equal(statusOf(answer), 503)
  t.strictSame(JSON.parse(bodyOf(answer)), { Code: 'CredentialsUnavailable', Message: 'there are no credentials that live long enough' })
})

t.test('SEC-321 without the authorization as it is there is an empty 403', async (t) => {
  const place = await open(t)
  const host = `127.0.0.1:${place.port}`
  const wrong: [string, string[]][] = [
    ['none', get(host)],
    ['empty', get(host, 'Authorization:')],
    ['short', get(host, `Authorization: ${authorization.slice(1)}`)],
    ['long', get(host, `Authorization: ${authorization}x`)],
    ['other case', get(host, `Authorization: ${authorization.toUpperCase()}`)],
    ['other', get(host, `Authorization: ${'y'.repeat(43)}`)],
    ['a bearer', get(host, `Authorization: Bearer ${authorization}`)],
    ['twice', get(host, ...authorized(`Authorization: ${authorization}`))],
    ['two', get(host, ...authorized('Authorization: other'))],
    ['in the query', [`GET /credentials?token=${authorization} HTTP/1.1`, `Host: ${host}`]],
    ['as a name and password', [`GET http://${authorization}@${host}/credentials HTTP/1.1`, `Host: ${host}`]],
    ['in another header', get(host, `X-Authorization: ${authorization}`, `Cookie: Authorization=${authorization}`)],
    ['of great length', get(host, `Authorization: ${'x'.repeat(10_000)}`)]
  ]
  for (const [name, lines] of wrong) {
    const answer = await raw(place, lines)
    t.equal(statusOf(answer), 403, name)
    t.equal(bodyOf(answer), '', name)
  }
  t.equal(place.given(), 0)
})

t.test('SEC-322 only the three names of this machine with the port are a Host', async (t) => {
  const place = await open(t)
  const { port } = place
  for (const host of [`127.0.0.1:${port}`, `[::1]:${port}`, `localhost:${port}`]) {
    t.equal(statusOf(await raw(place, get(host, ...authorized()))), 200, host)
  }
  for (const host of [
    'evil.example', `evil.example:${port}`, `localhost.evil.example:${port}`, `127.0.0.1.evil.example:${port}`, '127.0.0.1', 'localhost', `127.0.0.1:${port + 1}`, `localhost:${port}.`, `LOCALHOST:${port}`,
    `127.1:${port}`, `0.0.0.0:${port}`, `[::]:${port}`, `::1:${port}`, `[::ffff:127.0.0.1]:${port}`, `[0:0:0:0:0:0:0:1]:${port}`, `127.0.0.1:0${port}`, `user@127.0.0.1:${port}`, ''
  ]) {
    const answer = await raw(place, get(host, ...authorized()))
    t.equal(statusOf(answer), 403, host)
    t.equal(bodyOf(answer), '', host)
  }
  const missing = await raw(place, ['GET /credentials HTTP/1.1', ...authorized()])
  t.equal(statusOf(missing), 403, 'missing')
  t.equal(statusOf(await raw(place, ['GET /credentials HTTP/1.0', ...authorized()])), 403, 'HTTP/1.0 without')
  t.not(statusOf(await raw(place, get(`127.0.0.1:${port}`, 'Host: evil.example', ...authorized()))), 200, 'two')
  t.equal(place.given(), 3)
})

t.test('SEC-323 SEC-324 what comes from a browser, or through a proxy, gets nothing', async (t) => {
  const place = await open(t)
  const host = `127.0.0.1:${place.port}`
  const headers = [
    `Origin: http://${host}`, 'Origin: null', 'Referer: http://localhost/', 'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: empty', 'Sec-Fetch-User: ?1', 'sec-ch-ua: x',
    'X-Forwarded-For: 127.0.0.1', 'X-Forwarded-Host: localhost', 'X-Forwarded-Proto: http', 'Forwarded: for=127.0.0.1', 'Via: 1.1 proxy', 'X-Real-IP: 127.0.0.1'
  ]
  for (const header of headers) {
    const answer = await raw(place, get(host, ...authorized(header)))
    t.equal(statusOf(answer), 403, header)
    t.equal(bodyOf(answer), '')
    t.notMatch(answer, /access-control/i)
  }
  const preflight = await raw(place, ['OPTIONS /credentials HTTP/1.1', `Host: ${host}`, 'Origin: http://evil.example', 'Access-Control-Request-Method: GET', 'Access-Control-Request-Headers: authorization'])
  t.equal(statusOf(preflight), 403)
  t.notMatch(preflight, /access-control/i)
  for (const method of ['OPTIONS', 'POST', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND']) {
    const answer = await raw(place, [`${method} /credentials HTTP/1.1`, `Host: ${host}`, ...authorized('Content-Length: 0')])
    t.equal(statusOf(answer), 405, method)
    t.notMatch(answer, /access-control|CNRY/i)
  }
  t.equal(place.given(), 0)
})

t.test('SEC-325 SEC-326 there is one path, and nothing that quits, reloads or clears', async (t) => {
  const place = await open(t)
  const host = `127.0.0.1:${place.port}`
  for (const target of [
    '/', '/credentials/', '//credentials', '/./credentials', '/x/../credentials', '/%63redentials', '/credentials%00', '/credentials?x=1', '/credentials#x', '/CREDENTIALS', '/role', '/latest/meta-data/',
    `http://${host}/credentials`, '*', '/quit', '/reload', '/cache-clear', '/agent/v1/quit', '/v1/sys/quit', '/metrics', '/debug/pprof'
  ]) {
    const answer = await raw(place, [`GET ${target} HTTP/1.1`, `Host: ${host}`, ...authorized()])
    t.ok([400, 404].includes(statusOf(answer)), `${target}: ${statusOf(answer)}`)
    t.notMatch(answer, 'CNRY')
    t.equal(bodyOf(answer), '')
  }
  t.equal(statusOf(await raw(place, ['GET /quit HTTP/1.1', `Host: ${host}`])), 403, 'without authorization nobody learns what is there')
  t.equal(place.given(), 0)
})

t.test('SEC-320 it serves on [::1] too, where that is', { skip: !Object.values(networkInterfaces()).flat().some((each) => each?.address === '::1') && 'there is no ::1 here' }, async (t) => {
  const place = await open(t, { listen: '[::1]:0' })
  t.equal(statusOf(await raw(place, get(`[::1]:${place.port}`, ...authorized()))), 200)
})

t.test('callers that are slow, many or malformed cost little', async (t) => {
  const place = await open(t)
  const sockets = Array.from({ length: 300 }, () => net.connect(place.port, place.host).on('error', () => {}))
  await Promise.all(sockets.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])))
  for (const socket of sockets) socket.destroy()
  t.equal(statusOf(await raw(place, ['garbage'])), 400)
  t.equal(statusOf(await raw(place, get(`127.0.0.1:${place.port}`, ...authorized(`X-Long: ${'y'.repeat(20_000)}`)))), 431)
  t.equal(statusOf(await raw(place, get(`127.0.0.1:${place.port}`, ...authorized()))), 200, 'and it serves on')
})
