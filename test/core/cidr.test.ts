import t from 'tap'
import { addressInBlocks, blocksWithin, parseBlock, parseBoundCidrs, shortBlock } from '../../src/core/cidr.ts'

t.test('an address lies in the blocks that cover it', async (t) => {
  t.equal(addressInBlocks('10.1.2.3', ['10.0.0.0/8']), true)
  t.equal(addressInBlocks('10.1.2.3', ['192.168.0.0/16', '10.1.2.3']), true)
  t.equal(addressInBlocks('10.1.2.3', ['10.1.2.3/32']), true)
  t.equal(addressInBlocks('10.1.2.4', ['10.1.2.3/32']), false)
  t.equal(addressInBlocks('10.127.255.255', ['10.64.0.0/10']), true)
  t.equal(addressInBlocks('10.128.0.0', ['10.64.0.0/10']), false)
  t.equal(addressInBlocks('203.0.113.1', ['0.0.0.0/0']), true)
  t.equal(addressInBlocks('fd00::1', ['fd00::/8']), true)
  t.equal(addressInBlocks('fe00::1', ['fd00::/8']), false)
})

t.test('no block, no address: an empty list and bad text contain nothing', async (t) => {
  t.equal(addressInBlocks('10.1.2.3', []), false)
  t.equal(addressInBlocks('10.1.2.3', ['10.0.0.0/33', 'nonsense', '']), false)
  t.equal(addressInBlocks('', ['0.0.0.0/0', '::/0']), false)
})

t.test('SEC-060 an IPv4-mapped address is its IPv4 address, on both sides', async (t) => {
  t.equal(addressInBlocks('::ffff:10.1.0.5', ['10.1.0.0/16']), true)
  t.equal(addressInBlocks('::ffff:10.2.0.1', ['10.1.0.0/16']), false)
  t.equal(addressInBlocks('10.1.0.5', ['::ffff:10.1.0.0/112']), true)
  t.equal(addressInBlocks('10.1.0.5', ['::ffff:a01:0/112']), true)
  t.equal(addressInBlocks('10.1.0.5', ['::/0']), false)
  t.equal(addressInBlocks('::1', ['0.0.0.0/0']), false)
})

t.test('SEC-060 a zone id is malformed, and no block covers it', async (t) => {
  t.equal(parseBlock('fe80::1%eth0/64'), null)
  t.equal(addressInBlocks('fe80::1%eth0', ['fe80::/10', '::/0']), false)
})

t.test('a block has one reading: no octal, no short forms, no masks in dots', async (t) => {
  const bad = ['010.0.0.0/8', '0x0a.0.0.0/8', '10/8', '10.0.0.0/08', '10.0.0.0/+8', '10.0.0.0/', '10.0.0.0/33',
    '10.0.0.0/255.0.0.0', '10.0.0.0/8 ', '::/129', '::ffff:0:0/95', '10.0.0.0/8/8', '300.0.0.0/8', 'localhost/8']
  for (const text of bad) t.equal(parseBlock(text), null, text)
  t.equal(parseBlock('10.0.0.1'), null, 'an address alone is no CIDR')
  t.strictSame(parseBlock('10.0.0.1', 'bare'), { bytes: [10, 0, 0, 1], prefix: 32 })
})

t.test('SEC-060 a list lies within another only block by block', async (t) => {
  t.equal(blocksWithin(['10.1.0.0/16', '10.2.3.4'], ['10.0.0.0/8']), true)
  t.equal(blocksWithin(['10.0.0.0/8'], ['10.1.0.0/16']), false)
  t.equal(blocksWithin(['0.0.0.0/0'], ['10.0.0.0/8']), false)
  t.equal(blocksWithin(['11.0.0.0/8'], ['10.0.0.0/8']), false)
  t.equal(blocksWithin(['10.1.0.0/16', '11.0.0.0/8'], ['10.0.0.0/8']), false)
  t.equal(blocksWithin(['10.0.0.0/8'], ['10.0.0.0/9', '10.128.0.0/9']), false, 'halves do not make a whole')
  t.equal(blocksWithin(['::ffff:10.1.0.0/112'], ['10.0.0.0/8']), true)
  t.equal(blocksWithin([], ['10.0.0.0/8']), true)
  t.equal(blocksWithin(['nonsense'], ['0.0.0.0/0']), false)
})

t.test('a block of one address is shown as the address', async (t) => {
  t.equal(shortBlock('127.0.0.1/32'), '127.0.0.1')
  t.equal(shortBlock('::1/128'), '::1')
  t.equal(shortBlock('fd00::/32'), 'fd00::/32')
  t.equal(shortBlock('10.0.0.0/8'), '10.0.0.0/8')
})

t.test('what a token shall be bound to is checked, and kept as it is shown', async (t) => {
  t.strictSame(parseBoundCidrs(['127.0.0.1/32', '10.0.0.0/8', 'fd00::1']), ['127.0.0.1', '10.0.0.0/8', 'fd00::1'])
  t.throws(() => parseBoundCidrs(['127.0.0.1', 'kit']), { code: 'invalid_request', message: /^error parsing address "kit": / })
})
