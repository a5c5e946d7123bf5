import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import t from 'tap'
import { createFolder } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'
import { createRig, tripwire } from './rig.ts'

/** A certificate that signs itself. */
function makeCertificate (folder: string, name: string, subjectAltName: string) {
  const file = (extension: string) => path.join(folder, `${name}.${extension}`)
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file('key'), '-out', file('pem'), '-days', '2',
    '-subj', '/CN=test', '-addext', `subjectAltName=${subjectAltName}`
  ], { stdio: 'pipe' })
  return { key: readFileSync(file('key'), 'utf8'), cert: readFileSync(file('pem'), 'utf8') }
}

t.test('SEC-164 a receiver whose certificate does not prove its name gets nothing', async (t) => {
  const folder = createFolder(t)
  const good = makeCertificate(folder, 'good', 'DNS:localhost')
  const other = makeCertificate(folder, 'other', 'DNS:other.example')
  const stranger = makeCertificate(folder, 'stranger', 'DNS:localhost')
  const trusted = getCACertificates('default')
  t.teardown(() => { setDefaultCACertificates(trusted) })
  setDefaultCACertificates([...trusted, good.cert, other.cert])
  for (const [name, certificate] of Object.entries({ good, other, stranger })) {
    let requests = 0
    const server = createServer(certificate, (request, response) => {
      requests++
      request.resume().once('end', () => response.writeHead(204).end())
    })
    await new Promise<void>((resolve) => { server.listen(0, 'localhost', resolve) })
    t.teardown(() => { server.close() })
    const rig = await createRig()
    await rig.write('ops', { type: 'webhook', url: `https://localhost:${(server.address() as AddressInfo).port}/hook`, events: 'tripwire' })
    rig.publish(tripwire())
    await rig.tick()
    await rig.sweep()
    await until('it was tried', async () => (await rig.pending('ops')).every(({ lastFailure }) => lastFailure !== null))
    t.strictSame((await rig.pending('ops')).map(({ lastFailure }) => lastFailure), name === 'good' ? [] : ['its certificate does not prove who it is'], name)
    t.equal(requests, name === 'good' ? 1 : 0)
  }
})
