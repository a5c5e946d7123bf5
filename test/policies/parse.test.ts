import t from 'tap'
import { BrokerError } from '../../src/core/errors.ts'
import { SyntaxProblem } from '../../src/policies/hcl-scanner.ts'
import { parseHcl } from '../../src/policies/hcl.ts'
import { parsePolicy, policyBytesMax } from '../../src/policies/parse.ts'
import { capabilityBits } from '../../src/policies/rule.ts'

function words (capabilities: number): string[] {
  return Object.entries(capabilityBits).filter(([, bit]) => (capabilities & bit) !== 0).map(([word]) => word).sort()
}

function rules (text: string): Record<string, string[]> {
  return Object.fromEntries(parsePolicy(text).map((rule) => [rule.pattern.text + (rule.pattern.open ? '*' : ''), words(rule.capabilities)]))
}

function problem (text: string): string {
  try {
    parsePolicy(text)
    return ''
  } catch (error) {
    if (error instanceof BrokerError && error.code === 'invalid_request') return error.message
    throw error
  }
}

t.test('HCL: comments, heredocs, commas at ends, both forms of a map', async (t) => {
  t.strictSame(rules('# one\n// two\n/* three\n four */\npath "secret/a" {\n  capabilities = [\n    "read", # why\n    "list",\n  ]\n}\npath "secret/b" {\n  capabilities = ["read"]\n  comment = <<EOT\nsome text\nEOT\n}\n'),
    { 'secret/a': ['list', 'read'], 'secret/b': ['read'] })
  t.strictSame(rules('path "a" { capabilities = ["read"], comment = <<-EOT\n   x\n   EOT\n}\r\n'), { a: ['read'] })
  t.strictSame(rules('path "a" { capabilities = "read" }'), { a: ['read'] })
  t.strictSame(rules('path = { "a" = { capabilities = ["read"] } }'), { a: ['read'] })
  t.strictSame(rules('name = "kit"\npath "a" {}'), { a: [] })
  t.strictSame(rules('# nothing'), {})
  t.strictSame(rules('  \n'), {})
  t.strictSame(rules('\uFEFFpath "a" { policy = "write" }'), { a: ['create', 'delete', 'list', 'read', 'update'] })
  const [rule] = parsePolicy('path "a" { allowed_parameters = { "A" = [], b = ["x", 1, 1.5e1, true, ["y"], { z = 1 }], }\n denied_parameters { c = "x" }\n denied_parameters { d = [] } }')
  t.strictSame([...rule?.allowedParameters ?? []], [['a', []], ['b', ['x', 1, 15, true, ['y'], Object.assign(Object.create(null), { z: 1 })]]])
  t.strictSame([...rule?.deniedParameters ?? []], [['c', ['x']], ['d', []]], 'repeated blocks add up: none is lost')
})

t.test('JSON in both conventions, with each of two equal keys', async (t) => {
  t.strictSame(rules('{"path":{"a":{"capabilities":["read","update"]},"b/*":{"capabilities":["list"]}}}'), { a: ['read', 'update'], 'b/*': ['list'] })
  t.strictSame(rules('  {"path":[{"a":{"capabilities":["read"]}},{"b":[{"capabilities":["list"]}]}]}'), { a: ['read'], b: ['list'] })
  t.strictSame(parsePolicy('{"path":{"a":{"capabilities":["deny"]},"a":{"capabilities":["read"]}}}').map((rule) => words(rule.capabilities)),
    [['deny'], ['read']], 'a deny is not lost to a later stanza of its path')
  t.strictSame(rules('{"path":{"a\\u002fb":{"capabilities":["read"]}}}'), { 'a/b': ['read'] })
})

t.test('the last of two equal keys of a stanza counts', async (t) => {
  t.strictSame(rules('path "a" { capabilities = ["read"]\n capabilities = ["list"] }'), { a: ['list'] })
})

t.test('deny stands alone; the older words mean what they meant', async (t) => {
  t.strictSame(rules('path "a" { capabilities = ["read", "deny"] policy = "write" }'), { a: ['deny'] })
  t.strictSame(rules('path "a" { policy = "read" }'), { a: ['list', 'read'] })
  t.strictSame(rules('path "a" { policy = "sudo" }'), { a: ['create', 'delete', 'list', 'read', 'sudo', 'update'] })
  t.strictSame(rules('path "a" { policy = "deny" capabilities = ["read"] }'), { a: ['deny'] })
})

t.test('SEC-022 malformed policies are refused with the contract\'s sentences', async (t) => {
  const exact: [string, string][] = [
    ['path "secret/a" { capabilities = ["reed"] }', 'path "secret/a": invalid capability "reed"'],
    ['path "secret/a" { policy = "reed" }', 'path "secret/a": invalid policy "reed"'],
    ['path "secret/+*" { capabilities = ["read"] }', 'path "secret/+*": invalid use of wildcards (\'+*\' is forbidden)'],
    ['path "a" {\n capabilities = ["read"]\n denied_params = {}\n}', 'path "a": line 3: unknown key "denied_params"'],
    ['\npaths "a" {}', 'line 2: unknown key "paths"'],
    ['{"path":{"a":{"capabilities":["read"],"kit":1}}}', 'path "a": line 1: unknown key "kit"'],
    ['path "a" { pagination_limit = 5 }', 'path "a": line 1: "pagination_limit" is not supported'],
    ['path "a" { min_wrapping_ttl = "2m" max_wrapping_ttl = "1m" }', 'path "a": max_wrapping_ttl cannot be less than min_wrapping_ttl'],
    ['path "a" { expiration = "soon" }', 'path "a": invalid expiration time: expected an RFC 3339 time'],
    ['path "" { capabilities = ["read"] }', 'path "": the path is empty'],
    ['path "/" { capabilities = ["read"] }', 'path "/": the path is empty'],
    ['[1]', 'does not contain a root object'],
    ['path "a{{b" {}', 'failed to validate policy templating: unbalanced templating characters'],
    ['path "a}}b" {}', 'failed to validate policy templating: unbalanced templating characters'],
    ['path "a{{ }}b" {}', 'failed to validate policy templating: unbalanced templating characters'],
    ['path "a" { capabilities = ["read"', 'line 1: expected a comma or the end of the list'],
    ['path "a" {\n capabilities = [7] }', 'path "a": capabilities must be a list of strings'],
    ['path "a" "b" {}', 'line 1: a path has one pattern'],
    ['path "a" = {}', 'line 1: expected a block after several keys'],
    ['\n\npath "a\n" {}', 'line 3: text is not closed'],
    ['path "a\\q" {}', 'line 1: unknown escape sequence'],
    ['path "a\\u00" {}', 'line 1: escape sequence is no character'],
    ['/* x', 'line 1: comment is not closed'],
    ['path "a" { comment = <<EOT\nx\n', 'line 1: heredoc is not closed'],
    ['path "a" { comment = <<\n', 'line 1: heredoc has no name'],
    ['path "a" { capabilities = [read] }', 'line 1: expected a value'],
    ['path "a" {', 'line 1: a brace is not closed'],
    ['path', 'line 1: expected "=" or a block'],
    ['} ', 'line 1: expected a key'],
    ['{"path": nope', 'line 1: expected a value'],
    ['{"path":{"secret/a":', 'line 1: expected a value'],
    ['{"path":{"secret/a":{}}', 'line 1: a brace is not closed'],
    ['{"path":{"a":{}}} {}', 'line 1: nothing may follow the closing brace'],
    ['{path = {}}', 'invalid JSON'],
    ['{"path":{"a":{"capabilities":["read"],}}}', 'invalid JSON'],
    ['path 7', 'line 1: expected "=" or a block'],
    ['path = 7', 'line 1: expected a block'],
    [`path "a" { comment = ${'['.repeat(40)}${']'.repeat(40)} }`, 'line 1: nested too deeply'],
    ['x'.repeat(2_000_000), `the text is longer than ${policyBytesMax} bytes`]
  ]
  for (const [text, message] of exact) t.equal(problem(text), `failed to parse policy: ${message}`, text.slice(0, 60))
  for (const key of ['control_group', 'list_scan_response_keys_filter_path']) t.match(problem(`path "a" { ${key} = {} }`), 'is not supported')
  t.match(problem('path "a" { min_wrapping_ttl = "-1s" }'), 'invalid min_wrapping_ttl')
})

t.test('SEC-022 a star in the middle, a leading slash and equal paths are no mistakes (conformance 21, 22)', async (t) => {
  for (const text of ['path "a/*/b" {}', 'path "/a" {}', 'path "a" {}\npath "a" {}']) t.equal(problem(text), '')
})

t.test('SEC-040 a limit that would not be enforced is refused', async (t) => {
  t.match(problem('path "a" { capabilities = ["list"] pagination_limit = 1 }'), 'not supported')
})

t.test('names of built-in properties are ordinary names', async (t) => {
  for (const name of ['__proto__', 'constructor', 'toString']) {
    t.match(problem(`path "a" { capabilities = ["${name}"] }`), `invalid capability "${name}"`)
    t.match(problem(`path "a" { policy = "${name}" }`), `invalid policy "${name}"`)
    t.match(problem(`path "a" { ${name} = 1 }`), 'unknown key')
    const [rule] = parsePolicy(`path "${name}" { allowed_parameters = { "${name}" = [] } }`)
    t.same([rule?.pattern.text, rule?.allowedParameters?.has(name.toLowerCase())], [name, true])
  }
})

t.test('random texts end in rules or a refusal, never in another error', async (t) => {
  let seed = 7
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return (seed >>> 8) % below
  }
  const pieces = ['path ', '"a"', '"', '{', '}', '[', ']', '=', ':', ',', '\n', '\\', '\\u', '#', '//', '/*', '*/', '<<EOT\n', 'EOT', '<<-', 'capabilities',
    '"read"', 'true', 'null', '1', '-', '0x', '1e', '{{', '}}', '+*', '+', '*', '\u2028', '\ud800', 'é', ' ', '__proto__']
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from({ length: random(30) }, () => pieces[random(pieces.length)]).join('')
    try {
      parsePolicy(text)
    } catch (error) {
      if (!(error instanceof BrokerError) || !error.message.startsWith('failed to parse policy: ')) throw error
    }
  }
  t.pass()
})

// Four times the text must not take much more than four times as long; a quadratic parser takes sixteen.
t.test('parsing takes time in proportion to the text, whatever it holds', async (t) => {
  const shapes: Record<string, (n: number) => string> = {
    stanzas: (n) => 'path "a/b" { capabilities = ["read"] }\n'.repeat(n / 40),
    braces: (n) => `path "${'{{'.repeat(n / 2)}" {}`,
    templates: (n) => `path "${'{{a}}'.repeat(n / 5)}" {}`,
    escapes: (n) => `path "${'\\n'.repeat(n / 2)}" {}`,
    comments: (n) => '/**/'.repeat(n / 4),
    heredoc: (n) => `path "a" { comment = <<EOT\n${'EO\n'.repeat(n / 3)}EOT\n}`,
    keys: (n) => 'a '.repeat(n / 2),
    digits: (n) => `path = [${'1'.repeat(n)}`,
    plus: (n) => `path "${'/+'.repeat(n / 2)}" {}`,
    list: (n) => `path "a" { capabilities = [${'"read",'.repeat(n / 7)}] }`,
    heredocs: (n) => `a = ${'<<EOT\n'.repeat(n / 6)}`
  }
  for (const [name, shape] of Object.entries(shapes)) {
    const time = (n: number): number => {
      const text = shape(n)
      let best = Infinity
      for (let round = 0; round < 3; round++) {
        const start = performance.now()
        try {
          parseHcl(text)
        } catch (error) {
          if (!(error instanceof SyntaxProblem)) throw error
        }
        problem(text)
        best = Math.min(best, performance.now() - start)
      }
      return best
    }
    const small = time(100_000)
    const large = time(400_000)
    t.comment(`${name}: 100 kB ${small.toFixed(1)} ms, 400 kB ${large.toFixed(1)} ms`)
    t.ok(large < 1000, name)
  }
})
