import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import t from 'tap'
import tls from 'node:tls'
import { openTls } from '../../plugins/tls.ts'
import { startFront } from './front.ts'

const folder = mkdtempSync(path.join(os.tmpdir(), 'latchkey-tls-'))
t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
const file = (name: string) => path.join(folder, name)

function openssl (...words: string[]): void {
  const { status, stderr } = spawnSync('openssl', words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

function makeCertificate (name: string, ca?: string): void {
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const key = [...kind, '-keyout', file(`${name}.key`), '-subj', `/CN=${name}`]
  const signer = ca === undefined ? [] : ['-CA', file(`${ca}.pem`), '-CAkey', file(`${ca}.key`)]
  openssl('req', '-x509', ...key, ...signer, '-days', '2', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-out', file(`${name}.pem`))
}

makeCertificate('one')
makeCertificate('two')
makeCertificate('ca')
makeCertificate('client', 'ca')

const settings = { certificateFile: file('server.pem'), keyFile: file('server.key') }

function install (name: string): void {
  writeFileSync(settings.certificateFile, readFileSync(file(`${name}.pem`)))
  writeFileSync(settings.keyFile, readFileSync(file(`${name}.key`)), { mode: 0o600 })
}

interface Got { readonly status: number | undefined, readonly name: string, readonly body: string }

async function get (port: number, options: RequestOptions): Promise<Got> {
  const sent = httpsRequest({ port, host: '127.0.0.1', path: '/v1/a', rejectUnauthorized: false, agent: false, ...options })
  sent.end()
  const [response] = await once(sent, 'response')
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode, name: response.socket.getPeerCertificate?.().subject?.CN ?? '', body }
}

t.test('requests and the verb LIST work over TLS', async (t) => {
  install('one')
  const front = await startFront(t, { tls: openTls(settings) })
  t.match(await get(front.port, { ca: readFileSync(file('one.pem')), rejectUnauthorized: true }), { status: 200, body: '{"ok":true}' })
  const socket = tls.connect({ port: front.port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  let text = ''
  socket.on('data', (chunk) => { text += chunk })
  socket.write('POST /v1/a HTTP/1.1\r\nhost: h\r\ncontent-length: 7\r\n\r\n{"a":1}')
  while (!text.includes('"ok"')) await once(socket, 'data')
  socket.write('LIST /v1/kv/ HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n')
  await once(socket, 'close')
  t.match(front.last(), { verb: 'list', path: 'kv', remoteAddress: '127.0.0.1' })
})

t.test('SEC-248 old versions, weak ciphers, plain text and other protocols are refused', async (t) => {
  install('one')
  const front = await startFront(t, { tls: openTls(settings) })
  for (const options of [
    { maxVersion: 'TLSv1' as const, minVersion: 'TLSv1' as const }, { maxVersion: 'TLSv1.1' as const, minVersion: 'TLSv1' as const },
    { maxVersion: 'TLSv1.2' as const, ciphers: 'ECDHE-ECDSA-AES128-SHA' }, { maxVersion: 'TLSv1.2' as const, ciphers: 'AES128-GCM-SHA256' }, { ALPNProtocols: ['h2'] }
  ]) {
    await t.rejects(get(front.port, options), JSON.stringify(options))
  }
  t.equal((await get(front.port, { maxVersion: 'TLSv1.2' })).status, 200)
  const plain = net.connect({ port: front.port, host: '127.0.0.1' })
  plain.on('error', () => {})
  plain.end('GET /v1/a HTTP/1.1\r\nhost: h\r\n\r\n')
  plain.resume()
  await once(plain, 'close')
  t.ok((front.refusals.get('tls')?.count ?? 0) >= 5, 'and counted')
})

t.test('SEC-248 where clients must show a certificate, one of the right CA is needed', async (t) => {
  install('one')
  const front = await startFront(t, { tls: openTls({ ...settings, clientCaFile: file('ca.pem') }) })
  const show = (name: string) => ({ cert: readFileSync(file(`${name}.pem`)), key: readFileSync(file(`${name}.key`)) })
  t.equal((await get(front.port, show('client'))).status, 200)
  await t.rejects(get(front.port, {}), 'none')
  await t.rejects(get(front.port, show('two')), 'of nobody')
  t.equal(front.seen.length, 1)
})

t.test('SEC-250 a reload serves the new certificate, and a broken file keeps the old one and says so', async (t) => {
  install('one')
  const files = openTls(settings)
  const front = await startFront(t, { tls: files })
  t.equal((await get(front.port, {})).name, 'one')
  install('two')
  t.equal((await get(front.port, {})).name, 'one', 'nothing changes before the reload')
  t.equal(files.reload(), null)
  t.equal((await get(front.port, {})).name, 'two')
  for (const damage of [() => writeFileSync(settings.certificateFile, 'broken'), () => writeFileSync(settings.keyFile, readFileSync(file('one.key'))), () => rmSync(settings.keyFile)]) {
    install('two')
    damage()
    const error = files.reload()
    t.match(error, { message: 'the TLS files could not be taken; the former ones stay in use' })
    t.equal((await get(front.port, {})).name, 'two')
  }
})

t.test('a start with files that do not fit is refused', async (t) => {
  install('one')
  writeFileSync(settings.keyFile, readFileSync(file('two.key')))
  t.throws(() => openTls(settings))
  t.throws(() => openTls({ ...settings, certificateFile: file('absent') }))
})

t.test('SEC-247 a key that everybody may read is refused', async (t) => {
  install('one')
  chmodSync(settings.keyFile, 0o644)
  t.teardown(() => { chmodSync(settings.keyFile, 0o600) })
  t.throws(() => openTls(settings), /may not be open to everybody/)
})

t.test('SEC-299 a handshake that does not come is cut off', async (t) => {
  install('one')
  const options = openTls(settings).options()
  t.equal(options.handshakeTimeout, 5000)
})
