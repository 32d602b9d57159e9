"""The portal: people's windows on a home. A process of its own that holds no right.

What this holds:
1. The portal asks the keeper **as the person who signed in**: their identity provider binds the keeper's question to
   a key of this session, the keeper answers with a ticket, and every call is signed with that key. Who may see or do
   what is decided at the keeper's door, never here. Signed out, the portal may ask what anybody may.
2. What takes a signature (a vote, an approval, an order, an opt-in) is signed by the person's own key, in the browser
   or on paper. No key of a person is ever here.
3. Every page works without a script; the only script is ours; nothing is fetched from elsewhere.

What it does not hold: whoever runs the portal can show a page that lies. So what matters can be checked elsewhere,
with a verifier, keys and hashes that do not come from here.
"""
