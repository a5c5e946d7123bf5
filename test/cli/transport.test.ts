import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import net, { type AddressInfo } from 'node:net'
import path from 'node:path'
import t from 'tap'
import { createClient, type Call } from '../../src/cli/client.ts'
import { parseOrigin } from '../../src/cli/settings.ts'
import { createFolder } from '../helpers/broker.ts'
import { canary, json, latchkey, startImpostor, startProgram, testParts } from './rig.ts'

t.setTimeout(180_000)

const read: Call = { method: 'GET', what: 'secret/a', path: ['secret', 'a'], token: 'a-token', repeat: 'safe' }
const issue: Call = { ...read, repeat: 'unsent' }

function clientOf (address: string, limits?: Parameters<typeof createClient>[2]) {
  const { parts, pauses } = testParts()
  const connection = { origin: parseOrigin(address, false), ca: null, clientCert: null }
  return { client: createClient(connection, parts, limits), pauses }
}

t.test('SEC-334 a redirect is not followed, whatever its status and wherever it leads', async (t) => {
  const target = await startImpostor(t, (_request, response) => json(response, 200, { data: {} }))
  for (const status of [301, 302, 303, 307, 308]) {
    const broker = await startImpostor(t, (_request, response) => json(response, status, {}, { location: `${target.address}/v1/secret/a` }))
    const token = canary()
    const ended = await latchkey(t, ['read', 'secret/a', '--no-resolve'], { env: { LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: token } })
    t.match(ended, { code: 1, out: '', words: /the answer leads elsewhere, and is not followed/ })
    t.equal(broker.seen.length, 1)
  }
  t.strictSame(target.seen, [])
})

t.test('SEC-335 http beyond this machine needs a flag; an address is nothing but an address', async (t) => {
  for (const address of ['http://10.0.0.1:8200', 'http://latchkey.example', 'http://localhost.evil.example:1', 'http://127.0.0.1.evil.example', 'http://[::2]:1', 'http://0.0.0.0:1']) {
    t.throws(() => parseOrigin(address, false), /would get secrets in clear/, address)
    t.doesNotThrow(() => parseOrigin(address, true))
  }
  for (const address of ['http://127.0.0.1:8200', 'http://[::1]:1', 'http://localhost:8200', 'https://latchkey.example']) {
    t.doesNotThrow(() => parseOrigin(address, false), address)
  }
  for (const address of ['', 'latchkey.example', 'ftp://127.0.0.1', 'http://user:pass@127.0.0.1', 'http://127.0.0.1/v1', 'https://a.example/?x=1', 'https://a.example/#x', 'unix:///run/x']) {
    t.throws(() => parseOrigin(address, true), /is no address/, address)
  }
  const refused = await latchkey(t, ['login'], { env: { LATCHKEY_ADDR: 'http://192.0.2.1:8200', LATCHKEY_ROLE_ID: 'x', LATCHKEY_SECRET_ID: 'y' } })
  t.match(refused, { code: 2, words: /use https, or say --insecure-http/ })
})

t.test('SEC-336 no proxy of the environment is used, for loopback or any broker', async (t) => {
  const proxy = await startImpostor(t, (_request, response) => json(response, 200, { data: { stolen: true } }))
  const broker = await startImpostor(t, (_request, response) => json(response, 200, { data: { value: 'direct' } }))
  const proxies = Object.fromEntries(['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy', 'VAULT_HTTP_PROXY', 'VAULT_PROXY_ADDR']
    .map((name) => [name, proxy.address]))
  const env = { ...proxies, NODE_USE_ENV_PROXY: '1', LATCHKEY_TOKEN: canary() }
  const words = ['read', 'secret/a', '--no-resolve', '--field', 'value']
  t.match(await latchkey(t, words, { env: { ...env, LATCHKEY_ADDR: broker.address } }), { code: 0, out: 'direct' })
  await latchkey(t, words, { env: { ...env, LATCHKEY_ADDR: 'https://latchkey.invalid:8200' } })
  t.strictSame(proxy.seen, [])
})

t.test('SEC-337 what a hostile broker answers reaches a terminal escaped, and ends with a code that is not 0', async (t) => {
  const evil = '\u001b]52;c;ZXZpbA==\u0007\u001b[2J\r\n\u009b31m\u202egnp.exe\u2066\u200b'
  const raw = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e\u2066]/
  const answers: [string, number, unknown, number][] = [
    ['a refusal', 400, { errors: [evil, evil] }, 3],
    ['data', 200, { data: { [`name${evil}`]: evil } }, 0],
    ['a list for data', 200, [1], 1],
    ['a text', 200, 'x', 1],
    ['data that is no object', 200, { data: ['x'] }, 1],
    ['a token that is a text', 200, { auth: evil }, 1]
  ]
  for (const [name, status, body, code] of answers) {
    const broker = await startImpostor(t, (_request, response) => json(response, status, body))
    for (const format of ['text', 'json']) {
      const ended = await latchkey(t, ['read', 'secret/a', '--no-resolve', '--format', format], { env: { LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: 'x' } })
      t.equal(ended.code, code, `${name} as ${format}`)
      t.notMatch(ended.out + ended.words, raw, `${name} as ${format}`)
    }
  }
  const html = await startImpostor(t, (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'))
  t.match(await latchkey(t, ['list', 'secret', '--no-resolve'], { env: { LATCHKEY_ADDR: html.address, LATCHKEY_TOKEN: 'x' } }), { code: 1, words: /is no JSON object/ })
})

t.test('SEC-337 answers are bounded: 32 MiB, chunks without end, bytes that drip, headers without end, silence', async (t) => {
  const megabyte = Buffer.alloc(1024 * 1024, 0x20)
  let sent = 0
  const flood = await startImpostor(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const more = () => {
      if (response.destroyed) return
      sent += megabyte.length
      if (response.write(megabyte)) setImmediate(more)
      else response.once('drain', more)
    }
    more()
  })
  const ended = await latchkey(t, ['read', 'secret/a', '--no-resolve'], { env: { LATCHKEY_ADDR: flood.address, LATCHKEY_TOKEN: 'x' } })
  t.match(ended, { code: 5, words: /the answer is larger than 33554432 bytes/ })
  t.ok(sent < 64 * 1024 * 1024, 'and is not read to its end')

  const limits = { connectMs: 2000, callMs: 300, answerBytesMax: 1000 }
  const drip = await startImpostor(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const timer = setInterval(() => response.write(' '), 20)
    response.on('close', () => clearInterval(timer))
  })
  await t.rejects(clientOf(drip.address, limits).client.ask(issue), { kind: 'unavailable', message: /no whole answer within/ })
  const silent = net.createServer((socket) => socket.on('error', () => {}))
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => { silent.close() })
  const address = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  await t.rejects(clientOf(address, limits).client.ask(issue), { kind: 'unavailable', message: /no whole answer/, facts: { isUnsent: false } })
  const headers = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 200 OK\r\n')
    const timer = setInterval(() => socket.write(`x-${'y'.repeat(60)}: z\r\n`.repeat(200)), 5)
    socket.on('close', () => clearInterval(timer))
  })
  headers.listen(0, '127.0.0.1')
  await once(headers, 'listening')
  t.teardown(() => { headers.close() })
  const other = `http://127.0.0.1:${(headers.address() as AddressInfo).port}`
  await t.rejects(clientOf(other, { ...limits, callMs: 10_000 }).client.ask(issue), { kind: 'unavailable', message: /HPE_HEADER_OVERFLOW/ })
})

t.test('SEC-338 errors of any kind tell no secret that was sent, and nothing of what libraries say', async (t) => {
  const token = canary()
  const password = canary()
  const leaks: [string, Parameters<typeof startImpostor>[1]][] = [
    ['an error that repeats body and headers', (request, response) => json(response, 400, { errors: [`bad ${password} for ${String(request.headers['x-vault-token'])}`] })],
    ['a body that is no JSON', (_request, response) => response.writeHead(500).end(`stack ${password} ${token}`)],
    ['a broken connection', (_request, response) => { response.socket?.destroy() }],
    ['a malformed answer', (_request, response) => { response.socket?.end(`HTTP/1.1 ${token}\r\n\r\n`) }],
    ['a body that breaks off', (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 })
      response.write(`{"data":"${password}`)
      setTimeout(() => response.destroy(), 20)
    }],
    ['a reason that tells', (_request, response) => { response.writeHead(400, `bad-${token}`).end() }]
  ]
  for (const [name, answer] of leaks) {
    const broker = await startImpostor(t, answer)
    const ended = await latchkey(t, ['write', 'secret/a', '--no-resolve'], {
      env: { LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: token }, input: JSON.stringify({ list: [{ password }] })
    })
    t.not(ended.code, 0, name)
    t.notMatch(ended.out + ended.words, /CNRY|\bat .*\.ts/, name)
    t.match(ended.words, /^latchkey: POST secret\/a: .*\n$/, name)
  }
})

t.test('SEC-338 a defect tells where it is, and nothing of what it is about', async (t) => {
  const broker = await startImpostor(t, (_request, response) => json(response, 200, { data: {} }))
  const main = path.join(import.meta.dirname, '../../src/cli/main.ts')
  for (const way of ['Date.now = () => { throw new TypeError("CNRYmessage") }', 'Date.now = () => { throw "CNRYtext" }', 'setImmediate(() => { throw new RangeError("CNRYlate") }); Date.now = () => { for (;;) {} }']) {
    const preload = `data:text/javascript,${encodeURIComponent(way)}`
    const { code, out, words } = await startProgram(t, [process.execPath, '--import', preload, main, 'read', 'secret/a', '--no-resolve'], { env: { LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: canary() } }).ended
    t.equal(code, 1)
    t.notMatch(out + words, 'CNRY')
    t.match(words, /^latchkey: a defect: \w+ .*\n$/)
  }
})

t.test('what something in between says is no refusal by the broker', async (t) => {
  for (const status of [400, 403, 404]) {
    const proxy = await startImpostor(t, (_request, response) => response.writeHead(status, { 'content-type': 'text/html' }).end('<html>'))
    const ended = await latchkey(t, ['read', 'secret/a', '--no-resolve'], { env: { LATCHKEY_ADDR: proxy.address, LATCHKEY_TOKEN: 'x' } })
    t.match(ended, { code: 5, words: `latchkey: GET secret/a: the answer is none of a broker (${status})\n` })
  }
})

t.test('SEC-338 where nobody reads what is written, nothing is said but the exit code', async (t) => {
  const secret = canary()
  const broker = await startImpostor(t, (_request, response) => json(response, 200, { data: { value: secret.repeat(20_000) } }))
  const main = path.join(import.meta.dirname, '../../src/cli/main.ts')
  const script = `{ "${process.execPath}" "${main}" read secret/a --no-resolve; echo "code $?" >&2; } | true`
  const { out, words } = await startProgram(t, ['sh', '-c', script], { env: { LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: 'x' } }).ended
  t.equal(out, '')
  t.equal(words, 'code 141\n')
})

t.test('what cannot be written is told in a sentence', async (t) => {
  const broker = await startImpostor(t, (_request, response) => json(response, 200, { data: { a: 'b' } }))
  const env = { LATCHKEY_ADDR: broker.address, LATCHKEY_TOKEN: 'x' }
  const main = path.join(import.meta.dirname, '../../src/cli/main.ts')
  const ended = await startProgram(t, ['/bin/sh', '-c', `exec "${process.execPath}" "${main}" read secret/a --no-resolve > /dev/full`], { env }).ended
  t.match(ended, { code: 1, words: 'latchkey: standard output cannot be written: the disk is full\n' })
})

t.test('what may have been done is not asked for again; what was surely not done is, when the broker says', async (t) => {
  const counts: [string, Call, Parameters<typeof startImpostor>[1], number][] = [
    ['a read after 503', read, (_request, response) => json(response, 503, { errors: [] }, { 'retry-after': '2' }), 3],
    ['a read after a broken connection', read, (_request, response) => { response.socket?.destroy() }, 3],
    ['a read after 500', read, (_request, response) => json(response, 500, { errors: ['internal error'] }), 1],
    ['an issue after 503', issue, (_request, response) => json(response, 503, { errors: [] }, { 'retry-after': '1' }), 1],
    ['an issue after 502', issue, (_request, response) => json(response, 502, { errors: [] }), 1],
    ['an issue after a broken connection', issue, (_request, response) => { response.socket?.destroy() }, 1],
    ['an issue after 429', issue, (_request, response) => json(response, 429, { errors: [] }, { 'retry-after': '3' }), 3],
    ['a read that is to wait until a date', read, (_request, response) => json(response, 503, { errors: [] }, { 'date': 'Sat, 21 Nov 2026 12:00:00 GMT', 'retry-after': 'Sat, 21 Nov 2026 12:00:04 GMT' }), 3],
    ['a read that is to wait for an hour', read, (_request, response) => json(response, 429, { errors: [] }, { 'retry-after': '3600' }), 1],
    ['a read after 403', read, (_request, response) => json(response, 403, { errors: [] }), 1]
  ]
  for (const [name, call, answer, expected] of counts) {
    const broker = await startImpostor(t, answer)
    const { client, pauses } = clientOf(broker.address)
    await t.rejects(client.ask(call))
    t.equal(broker.seen.length, expected, name)
    if (name === 'a read that is to wait until a date') t.strictSame(pauses, [2000, 2000])
    if (name === 'an issue after 429') t.strictSame(pauses, [1500, 1500], 'at least half of what the broker asked for')
  }
  const closed = net.createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  const { client, pauses } = clientOf(`http://127.0.0.1:${port}`)
  await t.rejects(client.ask(issue), { kind: 'unavailable', message: /nobody answers at http:\/\/127\.0\.0\.1/, facts: { isUnsent: true } })
  t.equal(pauses.length, 2, 'what never left is sent again')
})

t.test('a certificate is checked, whatever the environment says', async (t) => {
  const folder = createFolder(t)
  const file = (name: string) => path.join(folder, name)
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=latchkey',
    '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', file('key'), '-out', file('pem')], { stdio: 'pipe' })
  const server = https.createServer({ key: readFileSync(file('key')), cert: readFileSync(file('pem')) }, (_request, response) => json(response, 200, { data: { value: 'x' } }))
  server.listen(0)
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const { port } = server.address() as AddressInfo
  const words = ['read', 'secret/a', '--no-resolve', '--field', 'value']
  const env = { LATCHKEY_ADDR: `https://127.0.0.1:${port}`, LATCHKEY_TOKEN: 'x' }
  t.match(await latchkey(t, words, { env: { ...env, NODE_TLS_REJECT_UNAUTHORIZED: '0' } }), { code: 1, words: /is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\); --ca-file names its authority/ })
  t.match(await latchkey(t, [...words, '--ca-file', file('pem')], { env }), { code: 0, out: 'x', words: '' })
  t.match(await latchkey(t, words, { env: { ...env, LATCHKEY_CA_FILE: file('pem'), LATCHKEY_ADDR: `https://localhost:${port}` } }), { code: 1, words: /ERR_TLS_CERT_ALTNAME_INVALID/ })
})

t.test('the authorities may be as many as a system has', async (t) => {
  const file = path.join(createFolder(t), 'ca.pem')
  writeFileSync(file, `# ${'x'.repeat(1000)}\n`.repeat(300))
  t.match(await latchkey(t, ['status'], { env: { LATCHKEY_ADDR: 'https://127.0.0.1:1', LATCHKEY_CA_FILE: file } }), { code: 5, words: /nobody answers/ })
})

t.test('of another command line\'s variables all are used or none', async (t) => {
  const ours = await startImpostor(t, (_request, response) => json(response, 200, { data: { value: 'ours' } }))
  const theirs = await startImpostor(t, (_request, response) => json(response, 200, { data: { value: 'theirs' } }))
  const words = ['read', 'secret/a', '--no-resolve', '--field', 'value']
  const vault = { VAULT_ADDR: theirs.address, VAULT_TOKEN: canary() }
  t.match(await latchkey(t, words, { env: { ...vault, HOME: createFolder(t) } }), { code: 0, out: 'theirs' })
  const home = createFolder(t)
  t.match(await latchkey(t, words, { env: { ...vault, HOME: home, LATCHKEY_ADDR: ours.address } }), { code: 2, words: /there is no token/ })
  t.match(await latchkey(t, words, { env: { ...vault, HOME: home, LATCHKEY_ADDR: ours.address, LATCHKEY_TOKEN: 'mine' } }), { code: 0, out: 'ours' })
  t.notMatch(ours.heard(), 'CNRY')
})
