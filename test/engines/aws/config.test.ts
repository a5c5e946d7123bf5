import t from 'tap'
import { createAwsEngine } from '../../../src/engines/aws/engine.ts'
import { createEngineRig } from './rig.ts'

t.test('the secret key is never given back, and a write of other fields keeps it', async (t) => {
  const rig = createEngineRig()
  await rig.write('config/root', { access_key: 'AKIAONE', secret_key: 'very-secret' })
  await rig.write('config/root', { region: 'eu-west-1' })
  const root = await rig.read('config/root')
  t.match(root, { access_key: 'AKIAONE', region: 'eu-west-1', max_retries: -1, sts_fallback_endpoints: [], identity_token_ttl: 3600 })
  t.notMatch(JSON.stringify(root), /very-secret|secret_key/)
  const [record] = await rig.store.get(['m-aws_aws:config/root'])
  const stored = () => JSON.parse(Buffer.from(record?.value ?? '').toString())
  t.equal(stored().secretKey, 'very-secret')
})

t.test('a client that writes back what it read does not clear the secret; one that says there are no keys does', async (t) => {
  const rig = createEngineRig()
  const secret = async () => {
    const [record] = await rig.store.get(['m-aws_aws:config/root'])
    return JSON.parse(Buffer.from(record?.value ?? '').toString()).secretKey
  }
  await rig.write('config/root', { access_key: 'AKIAONE', secret_key: 'very-secret' })
  await rig.write('config/root', { access_key: 'AKIAONE', secret_key: '' })
  t.equal(await secret(), 'very-secret')
  await rig.write('config/root', { access_key: '', secret_key: '' })
  t.equal(await secret(), '')
})

t.test('what could not be honoured is refused', async (t) => {
  const rig = createEngineRig()
  await t.rejects(rig.write('config/root', { username_template: '{{.DisplayName}}' }), { message: /^unable to initialize username template: / })
  await t.rejects(rig.write('config/root', { access_key: 'A', identity_token_audience: 'b', role_arn: 'c' }), { message: 'only one of \'access_key\' or \'identity_token_audience\' can be set' })
  await t.rejects(rig.write('config/root', { identity_token_audience: 'b' }), { message: 'missing required \'role_arn\' when \'identity_token_audience\' is set' })
  await t.rejects(rig.write('config/root', { sts_fallback_endpoints: 'https://a,https://b', sts_fallback_regions: 'us-east-1' }), { message: 'fallback endpoints and fallback regions must be the same length' })
  await rig.write('config/root', { username_template: '' })
})

t.test('config/lease takes durations and shows them in Go\'s text', async (t) => {
  const rig = createEngineRig()
  await t.rejects(rig.write('config/lease', { lease: 'soon', lease_max: '1h' }), { message: /^Invalid lease: / })
  await rig.write('config/lease', { lease: '30m', lease_max: '12h' })
  t.same(await rig.read('config/lease'), { lease: '30m0s', lease_max: '12h0m0s' })
})

t.test('SEC-368: the search through all sources of credentials is refused outside development', async (t) => {
  const base = { clock: Date, egress: { development: false, allowedHosts: [] } }
  t.throws(() => createAwsEngine({ ...base, identity: 'chain' }))
  t.throws(() => createAwsEngine({ ...base, identity: 'static', region: 'nowhere' }))
})
