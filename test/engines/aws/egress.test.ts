import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import t from 'tap'
import { AddressRefused, checkedLookup } from '../../../src/core/egress.ts'
import { parseEndpoint } from '../../../src/engines/aws/egress.ts'
import { createSdkSts } from '../../../src/engines/aws/sdk.ts'
import { StsNotSent, StsUncertain } from '../../../src/engines/aws/sts.ts'
import { closedPort, createEngineRig, demoArn, listenOnLoopback, startSts } from './rig.ts'

const production = { development: false, allowedHosts: ['sts.corp.example', 'vpce-0a1b.sts.eu-west-1.vpce.amazonaws.com', 'other.example:8443', '169.254.169.254', '127.0.0.1'] }
const development = { development: true, allowedHosts: [] }

const nowhere = [
  'http://sts.us-east-1.amazonaws.com', 'https://evil.example', 'https://localhost', 'http://localhost:4566', 'localhost',
  'https://127.0.0.1', 'http://127.0.0.1:4566', 'https://10.0.0.1', 'https://192.168.1.1', 'https://169.254.169.254',
  'http://169.254.169.254/', 'https://[::1]', 'https://[::ffff:169.254.169.254]', 'https://[fd00:ec2::254]', 'https://[fe80::1]',
  'https://2852039166', 'https://0251.0376.0251.0376', 'https://0x7f000001', 'https://127.1', 'https://0.0.0.0', 'https://[::]',
  'https://sts.us-east-1.amazonaws.com.', 'https://sts.us-east-1.amazonaws.com@evil.example', 'https://evil.example#sts.us-east-1.amazonaws.com',
  'https://sts.us-east-1.amazonaws.com.evil.example', 'https://sts.us-east-1.amazonaws.com:8443', 'https://bucket.s3.amazonaws.com',
  'https://ec2-1-2-3-4.compute-1.amazonaws.com', 'https://x.execute-api.us-east-1.amazonaws.com', 'https://sts.evil.amazonaws.com',
  'https://sts.us-east-1.amazonaws.com/path', 'https://sts.us-east-1.amazonaws.com/?x', 'https://sts.us-east-1.amazonaws.com\r\nx: y',
  'ftp://sts.us-east-1.amazonaws.com', 'https://', 'https://sts.us-east-1.amazonaws.com:0', 'https://sts.us-east-1.amazonaws.com:99999',
  'http://sts.corp.example', 'https://sts.corp.example:8443', 'https://sub.sts.corp.example', 'https://other.example',
  'https://ѕts.us-east-1.amazonaws.com', 'https://sts.us-east-1.amazonaws.com\\@evil.example', ' https://evil.example'
]

t.test('SEC-161: in production only names of AWS and listed hosts are endpoints, by https and in their plain form', async (t) => {
  for (const text of nowhere) t.throws(() => parseEndpoint('sts_endpoint', text, 'sts', production), { code: 'invalid_request', message: /^sts_endpoint is not allowed/ }, text)
  const good = {
    'https://sts.us-east-1.amazonaws.com': 443, 'https://sts.amazonaws.com/': 443, 'https://STS.eu-west-1.amazonaws.com': 443,
    'sts.eu-west-1.amazonaws.com': 443, 'https://sts.cn-north-1.amazonaws.com.cn': 443, 'https://sts-fips.us-gov-west-1.amazonaws.com': 443,
    'https://sts.eu-west-1.api.aws': 443, 'https://sts.corp.example': 443, 'https://other.example:8443': 8443,
    'https://vpce-0a1b.sts.eu-west-1.vpce.amazonaws.com': 443
  }
  for (const [text, port] of Object.entries(good)) {
    t.match(parseEndpoint('sts_endpoint', text, 'sts', production), { secure: true, port }, text)
  }
  t.throws(() => parseEndpoint('iam_endpoint', 'https://sts.amazonaws.com', 'iam', production))
  t.match(parseEndpoint('iam_endpoint', 'https://iam.amazonaws.com', 'iam', production), { hostname: 'iam.amazonaws.com' })
})

t.test('SEC-161: addresses that are never allowed are not allowed by listing them either', async (t) => {
  for (const text of ['https://169.254.169.254', 'https://127.0.0.1']) t.throws(() => parseEndpoint('sts_endpoint', text, 'sts', production), text)
})

t.test('SEC-161: a development start takes loopback in its plain form, and nothing else of the private world', async (t) => {
  for (const text of ['http://127.0.0.1:4566', 'http://localhost:4566', 'localhost', 'http://[::1]:4566', 'https://127.0.0.1:4566']) {
    t.ok(parseEndpoint('sts_endpoint', text, 'sts', development), text)
  }
  for (const text of ['http://10.0.0.1', 'http://169.254.169.254', 'http://2130706433:4566', 'http://0x7f.1:4566', 'http://[::ffff:127.0.0.1]:4566', 'http://0.0.0.0:4566', 'http://sts.us-east-1.amazonaws.com']) {
    t.throws(() => parseEndpoint('sts_endpoint', text, 'sts', development), text)
  }
})

t.test('SEC-161: the addresses of a name are judged where the socket takes them', async (t) => {
  const aws = parseEndpoint('sts_endpoint', 'https://sts.us-east-1.amazonaws.com', 'sts', production)
  const listed = parseEndpoint('sts_endpoint', 'https://sts.corp.example', 'sts', production)
  for (const address of ['127.0.0.1', '10.1.2.3', '169.254.169.254', '::1', 'fe80::1', 'fd00:ec2::254', '::ffff:10.0.0.1', '0.0.0.0', '100.64.0.1', '224.0.0.1']) {
    t.notOk(aws.mayConnect(address), `AWS's name at ${address}`)
  }
  for (const address of ['52.46.128.1', '2600:1f18::1']) t.ok(aws.mayConnect(address), address)
  for (const address of ['10.1.2.3', '172.16.0.1', 'fd12::1', '52.46.128.1']) t.ok(listed.mayConnect(address), `a listed host at ${address}`)
  for (const address of ['127.0.0.1', '169.254.169.254', '::1', 'fe80::1', '0.0.0.0']) t.notOk(listed.mayConnect(address), `a listed host at ${address}`)

  const lookUp = (mayConnect: (address: string) => boolean) => new Promise((resolve, reject) => {
    checkedLookup(mayConnect)('localhost', { all: true }, (error, found) => {
      if (error) reject(error)
      else resolve(found)
    })
  })
  await t.rejects(lookUp(() => false), AddressRefused)
  t.match(await lookUp((address) => address === '127.0.0.1' || address === '::1'), [{ address: /^(?:127\.0\.0\.1|::1)$/ }])
})

t.test('SEC-161: a name that leads to loopback is refused at the connection, before anything is sent', async (t) => {
  const sts = await startSts(() => ({}))
  t.teardown(() => sts.close())
  const client = createSdkSts({
    endpoint: {
      secure: false, hostname: 'localhost', port: sts.port, host: `localhost:${sts.port}`,
      mayConnect: (address) => address.startsWith('52.')
    },
    region: 'us-east-1', credentials: async () => ({ accessKeyId: 'AKIAEXAMPLEEXAMPLE00', secretAccessKey: 's' }), clock: Date, socketsMax: 1
  })
  await t.rejects(client.call({ action: 'GetSessionToken', durationSeconds: 900, mfa: null }), StsNotSent)
  t.equal(sts.seen.length, 0)
})

t.test('SEC-162: only names of regions are regions', async (t) => {
  const rig = createEngineRig()
  for (const region of ['us-east-1.evil.example', 'x@evil:443/#', '../', 'us-east-1\n', 'US-EAST-1', 'us-east', 'us--1', 'a'.repeat(300)]) {
    for (const field of ['region', 'sts_region']) {
      await t.rejects(rig.write('config/root', { [field]: region }), { code: 'invalid_request', message: `${field} is not the name of an AWS region` }, region)
    }
  }
  for (const region of ['us-east-1', 'ap-southeast-2', 'us-gov-west-1', 'cn-north-1']) await rig.write('config/root', { region })
  t.match(await rig.read('config/root'), { region: 'cn-north-1' })
})

t.test('SEC-161: endpoints are refused when they are configured, in every field that takes one', async (t) => {
  const rig = createEngineRig({ egress: { development: false, allowedHosts: [] } })
  for (const fields of [{ sts_endpoint: 'http://127.0.0.1:4566' }, { iam_endpoint: 'https://169.254.169.254' }, { sts_fallback_endpoints: 'https://evil.example', sts_fallback_regions: 'us-east-1' }]) {
    await t.rejects(rig.write('config/root', fields), { code: 'invalid_request', message: /is not allowed/ })
  }
  t.equal(await rig.read('config/root'), null, 'nothing of a refused write is kept')
})

t.test('SEC-367, SEC-368: variables of the environment lead no request elsewhere', async (t) => {
  const [sts, elsewhere] = await Promise.all([startSts(() => ({})), startSts(() => ({}))])
  const variables = {
    AWS_ENDPOINT_URL: elsewhere.url, AWS_ENDPOINT_URL_STS: elsewhere.url, HTTP_PROXY: elsewhere.url,
    http_proxy: elsewhere.url, ALL_PROXY: elsewhere.url,
    AWS_REGION: 'eu-west-3', AWS_ACCESS_KEY_ID: 'AKIAENVIRONMENT00000', AWS_SECRET_ACCESS_KEY: 'x', AWS_MAX_ATTEMPTS: '5', AWS_USE_FIPS_ENDPOINT: 'true'
  }
  const before = { ...process.env }
  Object.assign(process.env, variables)
  t.teardown(async () => {
    for (const name of Object.keys(variables)) delete process.env[name]
    Object.assign(process.env, before)
    await Promise.all([sts.close(), elsewhere.close()])
  })
  const rig = createEngineRig()
  await rig.configure(sts.url)
  await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn })
  await rig.vend('sts/demo')
  t.equal(sts.seen.length, 1)
  t.match(sts.seen[0]?.headers.authorization, /Credential=AKIAEXAMPLEEXAMPLE00\/\d{8}\/us-east-1\/sts\//)
  t.equal(elsewhere.seen.length, 0)
})

t.test('SEC-114: the request that STS gets has our headers and no others', async (t) => {
  const sts = await startSts(() => ({}))
  t.teardown(() => sts.close())
  const rig = createEngineRig()
  await rig.configure(sts.url)
  await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn })
  await rig.vend('sts/demo')
  t.same(Object.keys(sts.seen[0]?.headers ?? {}).toSorted(), ['accept-encoding', 'authorization', 'connection', 'content-length', 'content-type', 'host', 'user-agent', 'x-amz-date'])
})

t.test('SEC-164: a certificate that does not prove the name is refused before anything is sent', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'latchkey-tls-'))
  const trusted = getCACertificates('default')
  t.teardown(() => {
    setDefaultCACertificates(trusted)
    rmSync(folder, { recursive: true })
  })
  const good = makeCertificate(folder, 'good', 'DNS:localhost')
  const certificates = {
    'self-signed': makeCertificate(folder, 'stranger', 'DNS:localhost'),
    'another name': makeCertificate(folder, 'other', 'DNS:other.example'),
    'another address': makeCertificate(folder, 'address', 'IP:10.0.0.1'),
    expired: makeCertificate(folder, 'expired', 'DNS:localhost', ['20200101000000Z', '20200102000000Z'])
  }
  const { 'self-signed': _stranger, ...known } = certificates
  setDefaultCACertificates([...trusted, good.cert, ...Object.values(known).map(({ cert }) => cert)])
  for (const [name, certificate] of Object.entries({ ...certificates, good })) {
    let requests = 0
    const server = createServer(certificate, (message, response) => {
      requests++
      message.resume().once('end', () => { response.end() })
    })
    const port = await listenOnLoopback(server)
    const rig = createEngineRig()
    await rig.configure(`https://localhost:${port}`)
    await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn })
    const error = await rig.vend('sts/demo').catch((error: unknown) => error)
    t.match(error, { name: name === 'good' ? 'CredentialUncertain' : 'BrokerError' }, name)
    if (name !== 'good') t.match(error, { message: /AWS STS could not be reached/ })
    t.equal(requests, name === 'good' ? 1 : 0, name)
    server.close()
    rig.engine.close()
  }
})

/** A certificate that signs itself. With dates it needs the long way, by an authority's files. */
function makeCertificate (
  folder: string, name: string, subjectAltName: string, [start, end]: readonly [string?, string?] = []
) {
  const file = (extension: string) => path.join(folder, `${name}.${extension}`)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const subject = ['-subj', '/CN=test', '-addext', `subjectAltName=${subjectAltName}`]
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file('key')]
  if (start === undefined || end === undefined) {
    openssl('req', '-x509', ...fresh, '-out', file('pem'), '-days', '2', ...subject)
  } else {
    writeFileSync(file('index'), '')
    writeFileSync(file('cnf'), `[ca]\ndefault_ca=d\n[d]\ndatabase=${file('index')}\nnew_certs_dir=${folder}\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nx509_extensions=x\n[p]\ncommonName=supplied\n[x]\nsubjectAltName=${subjectAltName}\nbasicConstraints=CA:TRUE\n`)
    openssl('req', '-new', ...fresh, '-out', file('csr'), ...subject)
    openssl('ca', '-batch', '-notext', '-selfsign', '-config', file('cnf'), '-keyfile', file('key'), '-in', file('csr'), '-out', file('pem'), '-startdate', start, '-enddate', end)
  }
  return { key: readFileSync(file('key'), 'utf8'), cert: readFileSync(file('pem'), 'utf8') }
}

t.test('a connection that cannot be made is told from one that broke', async (t) => {
  const port = await closedPort()
  const client = createSdkSts({
    endpoint: parseEndpoint('sts_endpoint', `http://127.0.0.1:${port}`, 'sts', development), region: 'us-east-1',
    credentials: async () => ({ accessKeyId: 'AKIAEXAMPLEEXAMPLE00', secretAccessKey: 's' }), clock: Date, socketsMax: 1
  })
  const error = await client.call({ action: 'GetSessionToken', durationSeconds: 900, mfa: null }).catch((error: unknown) => error)
  t.type(error, StsNotSent)
  t.notOk(error instanceof StsUncertain)
})
