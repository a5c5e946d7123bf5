import t from 'tap'
import { checkAddresses, parseAddress, parseDestination } from '../../src/notify/destination.ts'

const production = { development: false, allowedHosts: [] }
const listed = { development: false, allowedHosts: ['hooks.corp.example', 'hooks.corp.example:8443', '127.0.0.1:9000', '[::1]:9000', '10.1.2.3', '169.254.169.254'] }
const development = { development: true, allowedHosts: [] }

const nowhere = [
  'http://hooks.example.com/x', 'http://127.0.0.1:9000/x', 'https://127.0.0.1/x', 'https://localhost.', 'https://localhost/x', 'https://LOCALHOST:8443', 'https://10.0.0.1/x',
  'https://192.168.1.1', 'https://172.16.0.1', 'https://100.64.0.1', 'https://169.254.169.254/latest/meta-data/', 'https://[::1]/x', 'https://[fd00:ec2::254]/',
  'https://[fe80::1]/', 'https://[::ffff:169.254.169.254]/', 'https://[64:ff9b::a9fe:a9fe]/', 'https://[2002:a9fe:a9fe::]/', 'https://[::7f00:1]/', 'https://[::a9fe:a9fe]/', 'https://[4000::1]/', 'https://[fec0::1]/', 'https://2852039166/', 'https://0251.0376.0251.0376/',
  'https://0x7f000001/', 'https://127.1/', 'https://0.0.0.0/', 'https://[::]/', 'https://224.0.0.1/', 'https://255.255.255.255/',
  'https://user@hooks.example.com/', 'https://user:password@hooks.example.com/', 'https://@hooks.example.com/', 'https://hooks.example.com#@127.0.0.1/',
  'https://hooks.example.com\\@127.0.0.1/', 'https://hooks.example.com/\\x', 'https://hooks.example.com/a#b', 'https://hooks.example.com./',
  'https://hooks.example.com:0/', 'https://hooks.example.com:99999/', 'https://hooks.example.com/a b', ' https://hooks.example.com/', 'https://hooks.example.com/\r\nx: y',
  'ftp://hooks.example.com/', 'file:///etc/passwd', 'hooks.example.com', '//hooks.example.com/', 'https://', 'https:///x', '', 'https://ноокs.example.com/', `https://hooks.example.com/${'a'.repeat(2048)}`
]

t.test('SEC-161 SEC-367 notifications go by https to public addresses in their plain form', async (t) => {
  for (const text of nowhere) {
    t.throws(() => parseDestination('url', text, production), { code: 'invalid_request', message: /^url is not allowed: / }, text)
  }
  const good = {
    'https://hooks.example.com': '/', 'https://hooks.example.com/': '/', 'https://HOOKS.example.com/a/b?c=d&e': '/a/b?c=d&e', 'https://hooks.example.com:8443/x': '/x',
    'https://52.46.128.1/x': '/x', 'https://[2600:1f18::1]/x': '/x', 'https://hooks.example.com?x=y': '/?x=y', 'https://hooks.example.com/a/../b': '/b',
    'https://hooks.example.com/a/@b': '/a/@b'
  }
  for (const [text, path] of Object.entries(good)) t.equal(parseDestination('url', text, production).path, path, text)
  t.match(parseDestination('url', 'https://hooks.example.com:8443/x', production).endpoint, { secure: true, hostname: 'hooks.example.com', port: 8443, host: 'hooks.example.com:8443' })
})

t.test('SEC-161 the addresses of a name are judged, at the connection, by whether somebody listed it', async (t) => {
  const unlisted = parseDestination('url', 'https://hooks.example.com/', production).endpoint
  const known = parseDestination('url', 'https://hooks.corp.example:8443/', listed).endpoint
  for (const address of ['127.0.0.1', '10.1.2.3', '169.254.169.254', '::1', 'fe80::1', 'fd00:ec2::254', '::ffff:10.0.0.1', '0.0.0.0', '100.64.0.1', '::7f00:1']) t.notOk(unlisted.mayConnect(address), address)
  for (const address of ['10.1.2.3', 'fd12::1', '52.46.128.1']) t.ok(known.mayConnect(address), address)
  for (const address of ['127.0.0.1', '169.254.169.254', '::1', 'fe80::1', '0.0.0.0']) t.notOk(known.mayConnect(address), address)
})

t.test('SEC-161 a name that leads to a private address is refused when it is configured too', async (t) => {
  const { endpoint } = parseDestination('url', 'https://hooks.example.com/', production)
  const find = (...addresses: string[]) => async () => addresses.map((address) => ({ address, family: 4 }))
  for (const addresses of [['127.0.0.1'], ['52.46.128.1', '10.0.0.1'], ['169.254.169.254']]) {
    await t.rejects(checkAddresses('url', endpoint, find(...addresses)), { code: 'invalid_request', message: 'url is not allowed: its name leads to an address that is not one to connect to' })
  }
  await checkAddresses('url', endpoint, find('52.46.128.1'))
  await checkAddresses('url', endpoint, async () => { throw new Error('no such name') })
})

t.test('SEC-161 listed hosts may be private, or loopback and then without TLS; link-local never', async (t) => {
  for (const text of ['https://hooks.corp.example/x', 'https://hooks.corp.example:8443/x', 'http://127.0.0.1:9000/x', 'https://127.0.0.1:9000/x', 'http://[::1]:9000/x', 'https://10.1.2.3/x']) {
    t.ok(parseDestination('url', text, listed), text)
  }
  for (const text of ['http://hooks.corp.example/x', 'https://hooks.corp.example:444/x', 'https://sub.hooks.corp.example:444.', 'http://127.0.0.1:9001/x', 'http://10.1.2.3/x', 'https://10.1.2.3:444/x', 'https://169.254.169.254/x', 'http://127.0.0.2:9000/']) {
    if (text !== 'https://hooks.corp.example:444/x') t.throws(() => parseDestination('url', text, listed), text)
  }
  t.notOk(parseDestination('url', 'https://hooks.corp.example:444/x', listed).endpoint.mayConnect('10.1.2.3'), 'another port is another place')
})

t.test('SEC-161 a development start takes loopback, and nothing else of the private world', async (t) => {
  for (const text of ['http://127.0.0.1:9000/x', 'http://localhost:9000/x', 'http://[::1]:9000/x']) t.ok(parseDestination('url', text, development), text)
  for (const text of ['http://10.0.0.1/', 'http://169.254.169.254/', 'http://2130706433:9000/', 'http://hooks.example.com/']) t.throws(() => parseDestination('url', text, development), text)
})

t.test('an address is a scheme and a host', async (t) => {
  t.match(parseAddress('address', 'https://app.terraform.io', production), { host: 'app.terraform.io', port: 443 })
  for (const text of ['https://app.terraform.io/api', 'https://app.terraform.io?x', 'http://app.terraform.io', 'https://u@app.terraform.io', 'https://10.0.0.1', `https://${'a.'.repeat(200)}example`]) {
    t.throws(() => parseAddress('address', text, production), { code: 'invalid_request', message: /^address is not allowed/ }, text)
  }
})
