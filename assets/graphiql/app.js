// The GraphiQL page: a bar with the token and the examples above GraphiQL itself.
// No part of it asks another host for anything, and the token is kept in sessionStorage only.
(() => {
  'use strict';

  const ENDPOINT = '/graphql';
  const TOKEN_KEY = 'abacus.token';
  const INTROSPECTION = 'IntrospectionQuery';
  const VIEWER_QUERY = 'query TokenCheck { viewer { role subject account { namespace } } }';
  const DEFAULT_QUERY = [
    '# Paste a token above, then pick an example',
    '# or write a query here.',
    '#   Ctrl-Enter  runs it',
    '#   Ctrl-Space  completes',
    '',
    'query Viewer {',
    '  viewer {',
    '    role',
    '    subject',
    '    account {',
    '      namespace',
    '    }',
    '  }',
    '}',
    '',
  ].join('\n');

  // ── the token ──────────────────────────────────────────────────────────────

  // What people paste: with "Bearer " before it, in quotes, broken over lines.
  const clean = (text) =>
    text
      .replace(/\s+/g, ' ')
      .trim()
      .replace(/^["']|["']$/g, '')
      .replace(/^(authorization:\s*)?bearer\s+/i, '')
      .replace(/ /g, '');

  let token = '';
  try {
    token = sessionStorage.getItem(TOKEN_KEY) ?? '';
  } catch {
    // Storage is switched off: the token lives as long as the page.
  }

  function keep(value) {
    token = value;
    try {
      if (value) sessionStorage.setItem(TOKEN_KEY, value);
      else sessionStorage.removeItem(TOKEN_KEY);
    } catch {
      // As above.
    }
  }

  // Takes `#token=…` out of the address bar; tells whether there was one.
  function takeFromAddress() {
    const found = /^#(?:.*&)?token=([^&]*)/.exec(location.hash);
    if (!found) return false;
    history.replaceState(null, '', location.pathname + location.search);
    let value = found[1];
    try {
      value = decodeURIComponent(value);
    } catch {
      // A stray percent sign: take it as it stands.
    }
    keep(clean(value));
    return true;
  }

  takeFromAddress();

  // ── requests ───────────────────────────────────────────────────────────────

  async function post(body, bearer, signal) {
    const headers = {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json, application/json;q=0.9',
    };
    if (bearer) headers.authorization = `Bearer ${bearer}`;
    const response = await fetch(ENDPOINT, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      signal,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
    });
    const text = await response.text();
    let json;
    try {
      json = JSON.parse(text);
    } catch {
      // Not JSON: the caller shows status and text.
    }
    if (typeof json !== 'object') json = null;
    return { status: response.status, label: `${response.status} ${response.statusText}`.trim(), text, json };
  }

  const firstError = (answer) => answer.json?.errors?.[0];
  const isRefusal = (answer) =>
    answer.status === 401 || answer.status === 403 || firstError(answer)?.extensions?.code === 'UNAUTHENTICATED';
  const refusal = (answer) => `token refused: ${firstError(answer)?.message ?? answer.label}`;

  // ── whether the token works ────────────────────────────────────────────────

  const NO_TOKEN = 'no token yet';
  const NEEDED = 'A token is needed: paste one into the field “Token” above.';

  let checking = null;

  function show(state, text, detail = text) {
    const line = document.getElementById('token-state');
    line.dataset.state = state;
    line.textContent = text;
    line.title = detail;
  }

  // Asks who the token is. Answers null if requests may go on, else the reason why they are in vain.
  async function check() {
    checking?.abort();
    const mine = (checking = new AbortController());
    const verdict = (state, text, reason, detail) => {
      if (mine === checking) show(state, text, detail);
      return reason;
    };

    if (!token) return verdict('none', NO_TOKEN, NEEDED);
    if (!/^[\x21-\x7e]+$/.test(token)) {
      const text = 'token refused: it holds characters that no token has';
      return verdict('bad', text, text);
    }
    show('busy', 'checking the token…');
    let answer;
    try {
      answer = await post({ query: VIEWER_QUERY, operationName: 'TokenCheck' }, token, mine.signal);
    } catch (error) {
      const text = `the server does not answer: ${error.message}`;
      return verdict('bad', text, text);
    }
    if (isRefusal(answer)) return verdict('bad', refusal(answer), refusal(answer));
    const viewer = answer.json?.data?.viewer;
    if (!viewer) {
      return verdict('bad', `token not checked: ${firstError(answer)?.message ?? answer.label}`, null);
    }
    const name = viewer.account?.namespace ?? viewer.subject;
    return verdict('good', `${viewer.role} ${name}`, null, `${viewer.role} ${name}, subject ${viewer.subject}`);
  }

  // ── GraphiQL's fetcher ─────────────────────────────────────────────────────

  // GraphiQL shows what is thrown; a stack would only be noise there.
  function plainError(message) {
    const error = new Error(message);
    error.stack = undefined;
    return error;
  }

  let notice = '';

  // A new fetcher makes GraphiQL forget the schema and introspect again. Introspection waits for the
  // check, so that a missing or refused token costs no further requests.
  function makeFetcher() {
    const mine = token;
    let checked = check();
    return async (params) => {
      if (params.operationName === INTROSPECTION) {
        const reason = await (checked ?? check());
        checked = null;
        if (reason) {
          notice = reason;
          throw plainError(reason);
        }
      }
      let answer;
      try {
        answer = await post(params, mine);
      } catch (error) {
        throw plainError(`The server does not answer: ${error.message}`);
      }
      if (answer.status === 401 && mine && mine === token) show('bad', refusal(answer));
      return answer.json ?? { status: answer.label, text: answer.text };
    };
  }

  // ── the page ───────────────────────────────────────────────────────────────

  function start() {
    const { React, ReactDOM, GraphiQL, GraphiQLPluginExplorer } = window;
    const field = document.getElementById('token');
    const toggle = document.getElementById('token-show');
    const select = document.getElementById('examples');
    const h = React.createElement;

    // The preview that GraphiQL shows for image addresses in an answer would ask the hosts they name.
    GraphiQL.React.ImagePreview.shouldRender = () => false;

    // GraphiQL's editors and tabs as of its last render, and the example that waits for its new tab.
    let editors = null;
    let waiting = null;
    let examples = [];

    const valuesOf = (example) => (example.variables ? JSON.stringify(example.variables, null, 2) : '');

    function fill(example) {
      const query = example.query;
      const variables = valuesOf(example);
      editors.queryEditor.operationName = undefined;
      editors.queryEditor.setValue(query);
      editors.variableEditor.setValue(variables);
      editors.responseEditor?.setValue('');
      editors.updateActiveTabValues({ query, variables, response: null, operationName: null });
    }

    // Whether the active tab holds nothing of the user's: no answer, and an untouched text.
    function isUnused() {
      const answer = editors.responseEditor?.getValue() ?? '';
      if (answer && !(notice && answer.includes(JSON.stringify(notice)))) return false;
      const query = editors.queryEditor.getValue();
      const variables = editors.variableEditor.getValue();
      if (!query.trim() || query === DEFAULT_QUERY) return !variables.trim();
      return examples.some((example) => example.query === query && valuesOf(example) === variables);
    }

    function open(example) {
      if (isUnused()) {
        fill(example);
      } else {
        waiting = { example, tabs: editors.tabs.length };
        editors.addTab();
      }
    }

    const ready = () => Boolean(editors?.queryEditor && editors.variableEditor);
    const labelled = new WeakSet();

    function Bridge() {
      const context = GraphiQL.React.useEditorContext({ nonNull: true });
      React.useEffect(() => {
        editors = context;
        for (const [editor, label] of [
          [context.queryEditor, 'Query'],
          [context.variableEditor, 'Variables'],
          [context.responseEditor, 'Response'],
        ]) {
          if (!editor || labelled.has(editor)) continue;
          labelled.add(editor);
          editor.getInputField().setAttribute('aria-label', label);
          // Tab leaves the editor, as it leaves any other field.
          editor.addKeyMap({ Tab: false, 'Shift-Tab': false });
        }
        select.disabled = !(ready() && examples.length);
        if (waiting && context.tabs.length > waiting.tabs) {
          const { example } = waiting;
          waiting = null;
          fill(example);
          // Once the tab has its name, and so its width.
          setTimeout(() => document.querySelector('.graphiql-tab-active')?.scrollIntoView(), 200);
        }
      });
      return null;
    }

    // GraphiQL's check of the variables takes a default of `false` or 0 for none and calls the field
    // missing; boxed, the same default counts.
    function boxDefaults(schema) {
      for (const type of Object.values(schema.getTypeMap())) {
        if (!GraphiQL.GraphQL.isInputObjectType(type)) continue;
        for (const input of Object.values(type.getFields())) {
          if (input.defaultValue === false || input.defaultValue === 0) input.defaultValue = Object(input.defaultValue);
        }
      }
    }

    // The schema has come: what was said about a missing token is over.
    function onSchemaChange(schema) {
      boxDefaults(schema);
      const editor = editors?.responseEditor;
      if (notice && editor?.getValue().includes(JSON.stringify(notice))) editor.setValue('');
      notice = '';
    }

    const root = ReactDOM.createRoot(document.getElementById('graphiql'));
    const plugins = [GraphiQLPluginExplorer.explorerPlugin()];

    function render() {
      field.value = token;
      root.render(
        h(
          GraphiQL,
          {
            fetcher: makeFetcher(),
            defaultQuery: DEFAULT_QUERY,
            defaultEditorToolsVisibility: true,
            // Headers typed there would go to localStorage with the history.
            isHeadersEditorEnabled: false,
            shouldPersistHeaders: false,
            forcedTheme: 'system',
            introspectionQueryName: INTROSPECTION,
            onSchemaChange,
            plugins,
          },
          h(GraphiQL.Logo, null, 'GraphiQL'),
          h(Bridge),
        ),
      );
    }

    function apply(again = false) {
      const value = clean(field.value);
      field.value = value;
      if (value === token && !again) return;
      keep(value);
      render();
    }

    field.addEventListener('change', () => apply());
    field.addEventListener('paste', () => setTimeout(apply, 0));
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') {
        event.preventDefault();
        apply(true);
      }
    });

    toggle.addEventListener('click', () => {
      const hidden = field.type === 'text';
      field.type = hidden ? 'password' : 'text';
      toggle.textContent = hidden ? 'Show' : 'Hide';
      toggle.setAttribute('aria-label', hidden ? 'Show token' : 'Hide token');
    });

    // A link with a token, followed while the page is open.
    window.addEventListener('hashchange', () => {
      if (takeFromAddress()) render();
    });

    select.addEventListener('change', () => {
      const example = examples[Number(select.value)];
      if (select.value !== '' && example && ready()) open(example);
    });
    // So that the same example can be chosen again.
    select.addEventListener('blur', () => {
      select.value = '';
    });

    async function loadExamples() {
      try {
        const response = await fetch('/graphiql/examples.json', { credentials: 'omit' });
        if (!response.ok) throw new Error(response.status);
        examples = await response.json();
      } catch {
        select.options[0].textContent = 'could not be loaded';
        return;
      }
      examples.forEach((example, index) => select.add(new Option(example.title, String(index))));
      select.disabled = !ready();
    }

    render();
    loadExamples();
  }

  document.addEventListener('DOMContentLoaded', start);
})();
