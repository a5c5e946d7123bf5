import t, { type Test } from 'tap'
import { allowAll, read, startBench } from './helpers/start.ts'
import { signedHeaders, type Keys } from './helpers/sign.ts'

const seed = {
  accounts: [{
    id: '111122223333',
    users: [{ name: 'admin', accessKeys: [{}], policies: { all: allowAll } }, { name: 'nobody', accessKeys: [{}] }],
    hostedZones: ['b.example', 'a.example.'],
    buckets: ['one']
  }]
}

async function start (t: Test) {
  const { emulator, keysOf } = await startBench(t, { seed })
  const get = async (service: string, target: string, keys: Keys = keysOf('admin')) => {
    const host = new URL(emulator.endpoint).host
    const headers = signedHeaders({ method: 'GET', host, target, body: '' }, keys, { service, region: 'us-east-1', nowMs: Date.now() })
    const response = await fetch(emulator.endpoint + target, { headers })
    const text = await response.text()
    return { status: response.status, text, code: read(text, 'Code'), message: read(text, 'Message') }
  }
  return { get, nobody: keysOf('nobody') }
}

t.test('hosted zones are listed, found by name, and read one by one', async (t) => {
  const { get, nobody } = await start(t)
  const first = await get('route53', '/2013-04-01/hostedzone?maxitems=1')
  t.match(first.text, /<Name>b\.example\.<\/Name>.*<IsTruncated>true<\/IsTruncated>/)
  const byName = await get('route53', '/2013-04-01/hostedzonesbyname?dnsname=b.example')
  t.match(byName.text, /<Name>b\.example\.<\/Name>/)
  t.notMatch(byName.text, /a\.example/)
  const id = (read(first.text, 'Id') ?? '').replace('/hostedzone/', '')
  t.match(await get('route53', `/2013-04-01/hostedzone/${id}`), { status: 200, text: /<Name>b\.example\.<\/Name>.*<NameServer>/ })
  t.match(await get('route53', `/2013-04-01/tags/hostedzone/${id}`), { status: 200, text: `<ResourceId>${id}</ResourceId>` })
  t.match(await get('route53', '/2013-04-01/hostedzone/ZNONE'), { status: 404, code: 'NoSuchHostedZone', message: 'No hosted zone found with ID: ZNONE' })
  for (const target of ['hostedzone', 'hostedzonesbyname', 'hostedzonecount', `hostedzone/${id}`, `tags/hostedzone/${id}`]) {
    t.match(await get('route53', `/2013-04-01/${target}`, nobody), { status: 403, code: 'AccessDenied' }, target)
  }
})

t.test('what Route 53 and S3 do not do here is refused in their ways', async (t) => {
  const { get, nobody } = await start(t)
  t.match(await get('route53', '/2013-04-01/healthcheck'), { status: 404, code: 'UnknownOperationException' })
  t.match(await get('s3', '/one/key'), { status: 501, code: 'NotImplemented' })
  t.match(await get('s3', '/', nobody), { status: 403, code: 'AccessDenied' })
})
